// SPDX-License-Identifier: Apache-2.0
#pragma once
// Lanes of a warp: who am I, and the fixed reduction of N4.

#include "numerics/lane_reduction.hpp"

namespace warpbag::kernels {

inline constexpr unsigned full_mask = 0xFFFFFFFFU;
inline constexpr int warp_size = numerics::num_lanes;

__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x % warp_size); }

/// Number of this warp in the grid of one-dimensional blocks of whole warps.
__device__ __forceinline__ std::int64_t warp_index() {
  return (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / warp_size;
}

__device__ __forceinline__ std::int64_t num_warps() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x / warp_size;
}

/// The same, where every block has a warp before any has two: few items go to many blocks.
__device__ __forceinline__ std::int64_t spread_warp_index() {
  return static_cast<std::int64_t>(threadIdx.x / warp_size) * gridDim.x + blockIdx.x;
}

/// Number of this thread in the grid.
__device__ __forceinline__ std::int64_t thread_index() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ std::int64_t num_threads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

/// Warps that take one item a lane.
__host__ __device__ constexpr std::int64_t warps_for(std::int64_t items) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(items + warp_size - 1) / warp_size);
}

/// Over the lanes up to this one; the whole warp takes part.
template <typename Number>
__device__ __forceinline__ Number sum_up_to_lane(Number value) {
#pragma unroll
  for (int distance = 1; distance < warp_size; distance *= 2) {
    const Number other = __shfl_up_sync(full_mask, value, distance);
    if (lane_index() >= distance) value += other;
  }
  return value;
}

/// The butterfly of N4 (numerics::butterfly is its scalar form); the whole warp takes part and
/// every lane gets the result. A warp whose lanes beyond the row hold +0 gives the scalar form's
/// bits.
template <typename Combine = numerics::add_lanes>
__device__ __forceinline__ float warp_butterfly(float value, Combine combine = {}) {
#pragma unroll
  for (int width = warp_size / 2; width > 0; width /= 2) {
    value = combine(value, __shfl_xor_sync(full_mask, value, width));
  }
  return value;
}

}  // namespace warpbag::kernels
