// SPDX-License-Identifier: Apache-2.0
#include "cuda/pair_sort.hpp"

#include <cub/device/device_radix_sort.cuh>

#include "cuda/error.hpp"

namespace warpbag::cuda {

template <typename Key>
void sort_pairs(void* scratch, std::size_t scratch_bytes, pair_buffers<Key>& buffers,
                std::uint32_t count, int bits, cudaStream_t stream) {
  WARPBAG_CUDA_TRY(cub::DeviceRadixSort::SortPairs(scratch, scratch_bytes, buffers.keys,
                                                   buffers.values, count, 0, bits, stream));
}

template <typename Key>
std::size_t sort_pairs_scratch_bytes(std::uint32_t count, int bits) {
  std::size_t bytes = 0;
  pair_buffers<Key> none;
  WARPBAG_CUDA_TRY(cub::DeviceRadixSort::SortPairs(nullptr, bytes, none.keys, none.values, count, 0,
                                                   bits, nullptr));
  return bytes;
}

template void sort_pairs(void*, std::size_t, pair_buffers<std::uint32_t>&, std::uint32_t, int,
                         cudaStream_t);
template void sort_pairs(void*, std::size_t, pair_buffers<std::uint64_t>&, std::uint32_t, int,
                         cudaStream_t);
template std::size_t sort_pairs_scratch_bytes<std::uint32_t>(std::uint32_t, int);
template std::size_t sort_pairs_scratch_bytes<std::uint64_t>(std::uint32_t, int);

}  // namespace warpbag::cuda
