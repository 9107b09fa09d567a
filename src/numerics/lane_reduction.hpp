// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reductions over the embedding dimension in one fixed order (N4): element j goes to lane (j / 4) %
// 32, each lane adds its elements in ascending order starting at +0, and the 32 lanes combine by a
// butterfly: lane l adds lane l ^ 16, then ^ 8, ^ 4, ^ 2, ^ 1. (A warp that loads float4 has
// element j in just that lane. Float addition commutes, so all lanes end equal; lanes without
// elements hold +0, so fewer lanes give the same bits if the result is then added to +0.)
//
// The scalar form here is what the reference and odd corners use; SIMD and warp forms must equal
// it.

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

inline constexpr int num_lanes = 32;
inline constexpr int elements_per_lane_load = 4;

WARPBAG_HOST_DEVICE int lane_of(std::int64_t element) {
  return static_cast<int>(element / elements_per_lane_load % num_lanes);
}

/// Combines 32 lane sums; `lanes` is overwritten.
template <typename Combine>
WARPBAG_HOST_DEVICE float butterfly(float (&lanes)[num_lanes], Combine combine) {
  for (int width = num_lanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane)
      lanes[lane] = combine(lanes[lane], lanes[lane + width]);
  }
  return lanes[0];
}

/// The same of lanes that stay as they are.
template <typename Combine>
WARPBAG_HOST_DEVICE float combined_lanes(const float* lanes, Combine combine) {
  float copy[num_lanes];
  for (int lane = 0; lane < num_lanes; ++lane) copy[lane] = lanes[lane];
  return butterfly(copy, combine);
}

struct add_lanes {
  WARPBAG_HOST_DEVICE float operator()(float a, float b) const { return a + b; }
};

/// NaN wins, so that a NaN in a row is never hidden by a maximum.
struct max_lanes {
  WARPBAG_HOST_DEVICE float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

/// acc = accumulate(acc, j) for each element j of a row of `dim`, then the butterfly.
template <typename Accumulate, typename Combine = add_lanes>
WARPBAG_HOST_DEVICE float reduce_over_dim(std::int64_t dim, Accumulate accumulate,
                                          Combine combine = {}) {
  float lanes[num_lanes] = {};
  for (std::int64_t j = 0; j < dim; ++j) lanes[lane_of(j)] = accumulate(lanes[lane_of(j)], j);
  return butterfly(lanes, combine);
}

}  // namespace warpbag::numerics
