// SPDX-License-Identifier: Apache-2.0
#include "kernels/upload.cuh"

#include <algorithm>

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

/// As many of the words as one launch takes; returns how many.
template <int Words>
std::size_t upload_some(cudaStream_t stream, std::span<const std::uint64_t> words,
                        std::uint64_t* destination, kernels::device_status* new_batch) {
  kernels::upload_chunk<Words> chunk;
  const std::size_t count = std::min<std::size_t>(words.size(), Words);
  std::copy_n(words.begin(), count, chunk.word);
  kernels::upload_kernel<Words>
      <<<1, block_threads, 0, stream>>>(chunk, static_cast<int>(count), destination, new_batch);
  check_launch("upload");
  return count;
}

}  // namespace

void upload(cudaStream_t stream, std::span<const std::uint64_t> words, std::uint64_t* destination,
            kernels::device_status* new_batch) {
  using policy = kernels::upload_policy;
  while (!words.empty()) {
    const auto some = words.size() <= policy::small_words ? upload_some<policy::small_words>
                                                          : upload_some<policy::large_words>;
    const std::size_t count = some(stream, words, destination, new_batch);
    words = words.subspan(count);
    destination += count;
    new_batch = nullptr;
  }
}

}  // namespace warpbag::cuda
