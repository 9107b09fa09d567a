// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bags of more lookups than one group should take, in modes sum, mean and max: many groups leave
// what comes of their pieces (for sums, N2's sums of 64 lookups each), and the one that brings a
// bag's last puts these together in order. Which group that is changes no bit.
//
// A bag is cut into pieces of `piece` lookups, and positions into tiles as long. Whoever finds the
// bag of a tile's first position finds every piece: one begins within the tile, and the bag's first
// may begin in the tile before. So nobody makes a list.

#include "kernels/common/lane_group.cuh"
#include "kernels/common/pool_record.cuh"

namespace warpbag::kernels {

/// Lookups [begin, end) of a bag, whole blocks up to the bag's end; empty: nothing to do.
struct bag_piece {
  std::uint32_t begin;
  std::uint32_t end;
};

/// What the group of a tile takes of the bag of its first position, which is the bag's lookup
/// `into`. In 64 bits, for a bag may end just below 2^32.
__device__ __forceinline__ bag_piece piece_of_tile(std::uint64_t into, std::uint64_t length) {
  constexpr std::uint64_t piece = pool_policy::piece;
  if (length <= pool_policy::longest_bag) return {0, 0};
  const std::uint64_t here = (into + piece - 1) / piece * piece;
  return {static_cast<std::uint32_t>(into < piece ? 0 : min(here, length)),
          static_cast<std::uint32_t>(min(here + piece, length))};
}

/// True in all lanes of the group that brings the last lookups of a bag; `counted`, which counts
/// those of the piece, then counts the bag's.
__device__ __forceinline__ bool brings_last(const lane_group& group, unsigned long long* arrived,
                                            std::uint32_t lookups, std::uint32_t length,
                                            std::uint32_t& counted) {
  __threadfence();
  __syncwarp(group.mask);
  unsigned long long all = std::uint64_t{lookups} << 32U | counted;
  if (group.lane == 0) {
    all += atomicAdd(arrived, all);
    if (all >> 32U == length) *arrived = 0;
  }
  all = group.broadcast(all, 0);
  __threadfence();
  counted = static_cast<std::uint32_t>(all);
  return all >> 32U == length;
}

}  // namespace warpbag::kernels
