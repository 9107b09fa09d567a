// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gradient of per_sample_weights: the dot product of a bag's output gradient and the row that a
// lookup read (N4), for every lookup of the features that want it. Work is cut by position, so long
// bags cost no more than short ones; the lookups of a bag find its gradient in L1.

#include "kernels/common/lane_group.cuh"
#include "kernels/common/records.cuh"

namespace warpbag::kernels {

struct weight_gradient_policy {
  static constexpr int lookups_in_flight = 4;  // a row and a gradient each
  static constexpr int threads = 128;
  // 96 registers a thread: with 80 the eight quads in flight spill.
  static constexpr int blocks_per_multiprocessor = 5;
};

/// What a lane knows of one of the warp's 32 positions. Offsets are in elements.
struct weighted_lookup {
  std::int32_t feature = -1;
  std::int64_t position = 0;     // within the feature
  std::int64_t row_offset = -1;  // -1: the lookup is dead and its gradient is +0
  std::int64_t gradient_offset = 0;
  float scale = 1.0F;
};

template <typename Index>
__device__ __forceinline__ weighted_lookup find_lookup(const device_problem& problem,
                                                       std::int64_t position) {
  weighted_lookup lookup;
  if (position >= problem.total_positions) return lookup;
  lookup.feature = feature_of_position(problem, position);
  const feature_record& feature = problem.features[lookup.feature];
  lookup.position = position - feature.first_position;
  if (feature.weight_gradient == nullptr || lookup.position >= end_of_bags<Index>(feature)) {
    return lookup;
  }
  const table_record& table = problem.tables[feature.table];
  const std::int64_t id = load_index<Index>(feature.ids, lookup.position);
  if (!is_occurrence(table, id)) return lookup;
  const std::uint32_t bag =
      bag_within_feature(problem, feature, static_cast<std::uint32_t>(lookup.position));
  lookup.row_offset = id * table.row_stride;
  lookup.gradient_offset = bag * feature.gradient_stride;
  if (feature.mode == pooling_mode::mean)
    lookup.scale = problem.scale_of_bag[feature.first_bag + bag];
  return lookup;
}

/// The lookups [first, last) of the warp's 32, all of one feature. Lane l returns the dot product
/// of lookup l. Width: elements per access, of rows and gradients.
template <typename Stored, typename Gradient, int Width>
__device__ __forceinline__ float dot_products(const table_record& table,
                                              const feature_record& feature,
                                              const weighted_lookup& lookup, int first, int last) {
  constexpr int in_flight = weight_gradient_policy::lookups_in_flight;
  const auto* rows = static_cast<const Stored*>(table.rows);
  const auto* gradients = static_cast<const Gradient*>(feature.gradient);
  const lane_group group(width_class(table.dim));
  const int groups = warp_size / group.width;
  float result = 0.0F;
  for (int base = first; base < last; base += groups * in_flight) {
    std::int64_t row_offset[in_flight];
    std::int64_t gradient_offset[in_flight];
    float sum[in_flight] = {};
#pragma unroll
    for (int u = 0; u < in_flight; ++u) {
      const int k = base + u * groups + group.index;
      row_offset[u] = __shfl_sync(full_mask, lookup.row_offset, k % warp_size);
      gradient_offset[u] = __shfl_sync(full_mask, lookup.gradient_offset, k % warp_size);
      if (k >= last) row_offset[u] = -1;
    }
    for (int strip = 0; strip < num_strips(table.dim); ++strip) {
      const std::int32_t column = strip * strip_columns + group.lane * quad_elements;
      quad row[in_flight];
      quad gradient[in_flight];
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        const std::int32_t dim = row_offset[u] < 0 ? 0 : table.dim;
        row[u] = load_quad<Width>(rows + row_offset[u], column, dim);
        gradient[u] = load_quad<Width>(gradients + gradient_offset[u], column, dim);
      }
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
#pragma unroll
        for (int i = 0; i < quad_elements; ++i) {
          sum[u] = numerics::fused_multiply_add(gradient[u].value[i], row[u].value[i], sum[u]);
        }
      }
    }
#pragma unroll
    for (int u = 0; u < in_flight; ++u) {
      const int mine = lane_index() - (base + u * groups);
      const float of_group = group.sum(sum[u]);
      const float taken = __shfl_sync(full_mask, of_group, mine * group.width);
      if (mine >= 0 && mine < groups) result = taken;
    }
  }
  return result;
}

template <typename Gradient>
__device__ __forceinline__ float dot_products_of_feature(const device_problem& problem,
                                                         const weighted_lookup& lookup,
                                                         std::int32_t feature_number, int first,
                                                         int last) {
  const feature_record& feature = problem.features[feature_number];
  const table_record& table = problem.tables[feature.table];
  constexpr dtype gradient_type = sizeof(Gradient) == 4 ? dtype::f32 : dtype::f16;
  // Accesses narrower than a quad are of one element: code for each pair of types and widths was a
  // minute of the compiler's time.
  const bool whole_quads =
      access_width(table.rows, table.row_stride, table.dim, table.row_type) == quad_elements &&
      access_width(feature.gradient, feature.gradient_stride, table.dim, gradient_type) ==
          quad_elements;
  float result = 0.0F;
  with_stored_type(table.row_type, [&](auto stored) {
    using Stored = decltype(stored);
    result = whole_quads ? dot_products<Stored, Gradient, quad_elements>(table, feature, lookup,
                                                                         first, last)
                         : dot_products<Stored, Gradient, 1>(table, feature, lookup, first, last);
  });
  return result;
}

template <typename Gradient>
__global__ void __launch_bounds__(weight_gradient_policy::threads,
                                  weight_gradient_policy::blocks_per_multiprocessor)
    sample_weight_gradient_kernel(const __grid_constant__ device_problem problem,
                                  index_type ids_type) {
  if (problem.status->batch_fault != 0) return;
  const std::int64_t num_tiles = (problem.total_positions + warp_size - 1) / warp_size;
  for (std::int64_t tile = warp_index(); tile < num_tiles; tile += num_warps()) {
    const std::int64_t position = tile * warp_size + lane_index();
    const weighted_lookup lookup = ids_type == index_type::i32
                                       ? find_lookup<std::int32_t>(problem, position)
                                       : find_lookup<std::int64_t>(problem, position);
    float result = 0.0F;
    for (int first = 0; first < warp_size;) {  // the features of the tile, in turn
      const std::int32_t feature = __shfl_sync(full_mask, lookup.feature, first);
      const int last = first + __popc(__ballot_sync(
                                   full_mask, lookup.feature == feature && lane_index() >= first));
      if (feature >= 0 && problem.features[feature].weight_gradient != nullptr) {
        const float dot = dot_products_of_feature<Gradient>(problem, lookup, feature, first, last);
        if (lane_index() >= first && lane_index() < last) result = dot;
      }
      first = last;
    }
    if (lookup.feature < 0) continue;
    float* const output = problem.features[lookup.feature].weight_gradient;
    // + 0 turns -0, which the missing lanes of a narrow group would have turned, into +0.
    if (output != nullptr) output[lookup.position] = result * lookup.scale + 0.0F;
  }
}

}  // namespace warpbag::kernels
