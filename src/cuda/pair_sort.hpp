// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one radix sort of this library: (key, 32-bit number) pairs, stable, in two pairs of arrays.
// For .cu files.

#include <cuda_runtime_api.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cub/util_type.cuh>

namespace warpbag::cuda {

template <typename Key>
struct pair_buffers {
  cub::DoubleBuffer<Key> keys;
  cub::DoubleBuffer<std::uint32_t> values;
};

/// Bits of keys in [0, largest]; at least 1.
inline int key_bits(std::int64_t largest) {
  return largest == 0 ? 1 : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(largest)));
}

/// Sorts by the lowest `bits` of the keys; the results are the Current() ones. Throws cuda_error.
template <typename Key>
void sort_pairs(void* scratch, std::size_t scratch_bytes, pair_buffers<Key>& buffers,
                std::uint32_t count, int bits, cudaStream_t stream);

template <typename Key>
std::size_t sort_pairs_scratch_bytes(std::uint32_t count, int bits);

}  // namespace warpbag::cuda
