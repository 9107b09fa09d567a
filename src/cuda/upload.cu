// SPDX-License-Identifier: Apache-2.0
#include "kernels/upload.cuh"

#include <algorithm>

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void upload(cudaStream_t stream, std::span<const std::uint64_t> words, std::uint64_t* destination) {
  while (!words.empty()) {
    kernels::upload_chunk chunk;
    const std::size_t count = std::min<std::size_t>(words.size(), std::size(chunk.word));
    std::copy_n(words.begin(), count, chunk.word);
    kernels::upload_kernel<<<1, block_threads, 0, stream>>>(chunk, static_cast<int>(count),
                                                            destination);
    check_launch("upload");
    words = words.subspan(count);
    destination += count;
  }
}

}  // namespace warpbag::cuda
