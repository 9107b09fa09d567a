// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums over rows whose columns are with several owners: a warp per touched row, its lanes those of
// N4. Lane l goes on with the quads of this record that the whole row has in lane l.

#include "kernels/common/optimizer_row.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/row_norm_lanes.cuh"
#include "operations/row_lanes.hpp"

namespace warpbag::kernels {

/// body(column) for the first column of each quad of this lane, in ascending order.
template <typename Body>
__device__ __forceinline__ void for_each_quad_of_lane(const table_record& table, Body body) {
  const int first = (lane_index() - table.shard.first_column / quad_elements) & (warp_size - 1);
  for (std::int32_t column = first * quad_elements; column < table.dim; column += strip_columns) {
    body(column);
  }
}

/// The lane's sum `index` of the `touched`-th row.
__device__ __forceinline__ float& lane_sum(const table_record& table, int index,
                                           std::int64_t touched) {
  return table.shard.row_lanes[index][touched * warp_size + lane_index()];
}

__device__ __forceinline__ row_view view_of_weights(const table_record& table, std::int64_t row) {
  return {table.rows,
          table.row_type,
          table.row_stride,
          table.dim,
          row,
          access_width(table.rows, table.row_stride, table.dim, table.row_type)};
}

__device__ __forceinline__ quad scaled(quad x, float scale) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) x.value[i] *= scale;
  return x;
}

class gradient_lanes {
 public:
  __device__ __forceinline__ gradient_lanes(const table_record& table, std::int64_t touched)
      : table_(table),
        options_(table.optimizer),
        touched_(touched),
        row_(table.gradient.rows[touched]),
        values_(
            table.gradient.values, table.gradient.value_type, table.dim, table.dim, touched,
            access_width(table.gradient.values, table.dim, table.dim, table.gradient.value_type)) {}

  __device__ __forceinline__ void add_clip_norm() const {
    float& stored = lane_sum(table_, 0, touched_);
    float sum = stored;
    for_each_quad_of_lane(table_, [&](std::int32_t c) { sum = add_squares(sum, values_.load(c)); });
    stored = sum;
  }

  __device__ __forceinline__ void add_mean_square() const {
    const float clip = clip_of_row();
    const row_view weights = view_of_weights(table_, row_);
    float& stored = lane_sum(table_, 1, touched_);
    float sum = stored;
    for_each_quad_of_lane(table_, [&](std::int32_t column) {
      quad g = scaled(values_.load(column), clip);
      const quad w = weights.load(column);
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        g.value[i] = numerics::decayed_gradient(options_, g.value[i], w.value[i]);
      }
      sum = add_squares(sum, g);
    });
    stored = sum;
  }

  __device__ __forceinline__ void add_trust_ratio(const numerics::step_factors& factors) const {
    const float clip = clip_of_row();
    const row_view weights = view_of_weights(table_, row_);
    float& stored_weights = lane_sum(table_, 1, touched_);
    float& stored_directions = lane_sum(table_, 2, touched_);
    float weight_sum = stored_weights;
    float direction_sum = stored_directions;
    for_each_quad_of_lane(table_, [&](std::int32_t column) {
      const quad g = scaled(values_.load(column), clip);
      const quad w = weights.load(column);
      const quad m = load_quad<1>(table_.state[0] + row_ * table_.dim, column, table_.dim);
      const quad v = load_quad<1>(table_.state[1] + row_ * table_.dim, column, table_.dim);
      quad direction;
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        numerics::element x = {w.value[i], {m.value[i], v.value[i]}};
        const float u = numerics::lamb_direction(options_, factors, x, g.value[i]);
        direction.value[i] = column + i < table_.dim ? u : 0.0F;  // 0 / eps is NaN for eps = 0
      }
      weight_sum = add_squares(weight_sum, w);
      direction_sum = add_squares(direction_sum, direction);
    });
    stored_weights = weight_sum;
    stored_directions = direction_sum;
  }

 private:
  /// What clipping by norm multiplies the gradient with.
  __device__ __forceinline__ float clip_of_row() const {
    if (options_.clipping != clipping_kind::norm) return 1.0F;
    return numerics::clip_scale(warp_butterfly(lane_sum(table_, 0, touched_)),
                                options_.clipping_limit);
  }

  const table_record& table_;
  const optimizer_options& options_;
  std::int64_t touched_;
  std::int64_t row_;
  row_view values_;
};

__global__ void __launch_bounds__(256)
    add_gradient_lanes(const __grid_constant__ device_problem problem,
                       operations::row_reduction which) {
  if (problem.status->batch_fault != 0) return;
  for (int t = 0; t < problem.num_tables; ++t) {
    const table_record& table = problem.tables[t];
    if (!operations::has_lanes(table, which)) continue;
    numerics::step_factors factors = {};
    if (which == operations::row_reduction::trust_ratio) {
      factors = operations::next_step_factors(table);
    }
    for (std::int64_t k = warp_index(); k < *table.gradient.count; k += num_warps()) {
      const gradient_lanes lanes(table, k);
      if (which == operations::row_reduction::clip_norm) lanes.add_clip_norm();
      if (which == operations::row_reduction::mean_square) lanes.add_mean_square();
      if (which == operations::row_reduction::trust_ratio) lanes.add_trust_ratio(factors);
    }
  }
}

__global__ void __launch_bounds__(256)
    add_norm_lanes(const __grid_constant__ device_problem problem,
                   const __grid_constant__ device_occurrences occurrences) {
  if (problem.status->batch_fault != 0) return;
  for (std::int64_t run = warp_index(); run < *occurrences.num_runs; run += num_warps()) {
    const std::int64_t row = occurrences.rows[run];
    const table_record& table = problem.tables[table_of_row(problem, row)];
    if (!operations::has_lanes(table, operations::row_reduction::max_norm)) continue;
    const numerics::norm_kind kind = numerics::norm_kind_of(table.norm_type);
    const row_view weights = view_of_weights(table, row - table.first_row);
    float& stored = lane_sum(table, 0, run - first_run_of(occurrences, table.first_row));
    float sum = stored;
    for_each_quad_of_lane(table, [&](std::int32_t column) {
      sum = add_to_norm(kind, table.norm_type, sum, weights.load(column));
    });
    stored = sum;
  }
}

}  // namespace warpbag::kernels
