// SPDX-License-Identifier: Apache-2.0
#pragma once
// Part of a warp that works on one row: as many lanes as the row has quads, rounded up to a power
// of two, at most 32. A warp serves 32 / width narrow rows at a time; a wide row is cut into strips
// of 128 columns.

#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

inline constexpr int strip_columns = warp_size * quad_elements;

__host__ __device__ constexpr int num_strips(std::int32_t dim) {
  return (dim + strip_columns - 1) / strip_columns;
}

inline constexpr int widest_class = 5;

/// log2 of the width of the groups that serve rows of this dim.
__host__ __device__ constexpr int width_class(std::int32_t dim) {
  int log_width = 0;
  while (log_width < widest_class && (quad_elements << log_width) < dim) ++log_width;
  return log_width;
}

struct lane_group {
  int log_width;
  int width;
  int index;  // which group of the warp
  int lane;   // within the group
  unsigned mask;

  __device__ __forceinline__ explicit lane_group(int log_width_)
      : log_width(log_width_),
        width(1 << log_width),
        index(lane_index() >> log_width),
        lane(lane_index() & (width - 1)),
        mask((full_mask >> (warp_size - width)) << (index << log_width)) {}

  template <typename Value>
  __device__ __forceinline__ Value broadcast(Value value, int source) const {
    return __shfl_sync(mask, value, source, width);
  }

  template <typename Value>
  __device__ __forceinline__ Value from_previous_lane(Value value) const {
    return __shfl_up_sync(mask, value, 1, width);
  }

  /// N4. The lanes that the group lacks would hold +0, so the missing steps of the butterfly change
  /// nothing (a sum of -0 aside, which squares do not give).
  __device__ __forceinline__ float sum(float value) const {
#pragma unroll
    for (int distance = warp_size / 2; distance > 0; distance /= 2) {
      if (distance < width) value += __shfl_xor_sync(mask, value, distance, width);
    }
    return value;
  }
};

}  // namespace warpbag::kernels
