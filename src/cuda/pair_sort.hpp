// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one radix sort of this library: (key, 32-bit number) pairs, stable, in two pairs of arrays.
// For .cu files.

#include <bit>
#include <cstddef>
#include <cstdint>

#include "cuda/launch_context.hpp"
#include "kernels/radix_sort.cuh"

namespace warpbag::cuda {

/// What the sort makes is keys[current] and values[current]; keys of a key_array may lie in
/// keys[current] before it.
template <typename Key>
struct pair_buffers {
  Key* keys[2];
  std::uint32_t* values[2];
  int current = 0;
};

/// Bits of keys in [0, largest]; at least 1.
inline int key_bits(std::int64_t largest) {
  return largest == 0 ? 1 : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(largest)));
}

/// Scratch of sorts of at most `count` pairs by at most `bits` bits, with `more_zeros` words of the
/// caller's.
template <typename Key>
std::size_t sort_scratch_bytes(std::uint32_t count, int bits, std::size_t more_zeros);

/// Has to be done once to new scratch memory.
void reset_sort_scratch(cudaStream_t stream, void* scratch);

/// Divides scratch memory for one sort. The first `more_zeros` of work.zeros are the caller's.
template <typename Key>
kernels::sort_work divide_sort_scratch(void* scratch, std::uint32_t count, int bits,
                                       std::size_t more_zeros);

/// Sorts count > 0 pairs of keys from `source` and their positions; keys are below 2^bits of
/// divide_sort_scratch. Throws cuda_error.
template <typename Source>
void sort_pairs(const launch_context& context, const Source& source, std::uint32_t count,
                const kernels::sort_work& work, pair_buffers<typename Source::key_type>& buffers);

}  // namespace warpbag::cuda
