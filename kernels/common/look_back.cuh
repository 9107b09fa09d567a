// SPDX-License-Identifier: Apache-2.0
#pragma once
// Prefix sums over the tiles of a launch in one go (decoupled look-back: Merrill and Garland,
// "Single-pass Parallel Prefix Scan with Decoupled Look-back", 2016). Every tile tells its own sum
// at once, and the sum up to and with it when it knows that; who needs the sum of all tiles before
// looks back until it meets one of the latter. Tiles are numbered in the order in which blocks
// begin, so the ones before are under way.

#include <cstdint>

#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// What a tile tells, in one word: 0 nothing yet; 1 + n: its own sum is n; first_total + n: that of
/// all tiles to this one. A sum too large for the last form is not told: others then look further.
struct look_back {
  static constexpr std::uint32_t most_in_tile = 0xFFFF;
  static constexpr std::uint32_t first_total = most_in_tile + 2;

  static __device__ __forceinline__ void tell(std::uint32_t* word, std::uint32_t value) {
    *static_cast<volatile std::uint32_t*>(word) = value;
  }
  static __device__ __forceinline__ void tell_own(std::uint32_t* word, std::uint32_t sum) {
    tell(word, sum + 1);
  }
  static __device__ __forceinline__ void tell_total(std::uint32_t* word, std::uint32_t sum) {
    if (sum <= 0xFFFFFFFFU - first_total) tell(word, sum + first_total);
  }
  static __device__ __forceinline__ std::uint32_t read(const std::uint32_t* word) {
    return *static_cast<const volatile std::uint32_t*>(word);
  }
  static __device__ __forceinline__ bool is_total(std::uint32_t told) {
    return told >= first_total;
  }
  static __device__ __forceinline__ std::uint32_t sum_of(std::uint32_t told) {
    return told - (is_total(told) ? first_total : 1);
  }

  /// Adds the sums of the tiles before `tile` to `sums`, by one thread, for neighbouring words; a
  /// tile's are `stride` from those of the one before. The words of a tile are told together.
  template <int Words>
  static __device__ __forceinline__ void add_before(std::uint32_t (&sums)[Words],
                                                    const std::uint32_t* words,
                                                    std::uint32_t stride, std::uint32_t tile) {
    unsigned open = (1U << Words) - 1;
    while (tile-- > 0 && open != 0) {
      std::uint32_t told[Words];
      bool all_told = false;
      while (!all_told) {
        all_told = true;
#pragma unroll
        for (int i = 0; i < Words; ++i) {
          told[i] = read(words + std::size_t{stride} * tile + i);
          all_told = all_told && told[i] != 0;
        }
      }
#pragma unroll
      for (int i = 0; i < Words; ++i) {
        if ((open >> i & 1U) == 0) continue;
        sums[i] += sum_of(told[i]);
        if (is_total(told[i])) open &= ~(1U << i);
      }
    }
  }

  /// Sum of the tiles before `tile`, which have one word each; by a whole warp, 32 at a time.
  static __device__ __forceinline__ std::uint32_t before(const std::uint32_t* words,
                                                         std::uint32_t tile) {
    std::uint32_t sum = 0;
    for (std::int64_t last = std::int64_t{tile} - 1; last >= 0; last -= warp_size) {
      const std::int64_t mine = last - lane_index();
      std::uint32_t told = mine >= 0 ? 0 : first_total;
      while (told == 0) told = read(words + mine);
      const unsigned totals = __ballot_sync(full_mask, is_total(told));
      // Lanes up to the first total count.
      const bool counts = totals == 0 || lane_index() < __ffs(static_cast<int>(totals));
      sum += __reduce_add_sync(full_mask, counts ? sum_of(told) : 0U);
      if (totals != 0) break;
    }
    return sum;
  }
};

/// The next tile of a launch, for the whole block. `next` is 0 before the launch.
__device__ __forceinline__ std::uint32_t take_tile(std::uint32_t* next) {
  __shared__ std::uint32_t tile;
  if (threadIdx.x == 0) tile = atomicAdd(next, 1U);
  __syncthreads();
  return tile;
}

}  // namespace warpbag::kernels
