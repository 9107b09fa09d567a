// SPDX-License-Identifier: Apache-2.0
#pragma once
// max_norm: a warp per touched row. The norm is summed in the order of N4; a row that is too long
// is read again (from cache) and scaled in place.

#include "kernels/common/records.cuh"
#include "kernels/common/row_norm_lanes.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

struct combine_norms {
  numerics::norm_kind kind;
  __device__ __forceinline__ float operator()(float a, float b) const {
    return numerics::combine_norm(kind, a, b);
  }
};

inline constexpr int warp_quad_elements = warp_size * quad_elements;

/// What the lane has of the norm of a row.
template <int Width, typename Stored>
__device__ __forceinline__ float norm_of_lane(const table_record& table, numerics::norm_kind kind,
                                              const Stored* row) {
  float norm = 0.0F;
  for (std::int32_t column = lane_index() * quad_elements; column < table.dim;
       column += warp_quad_elements) {
    norm = add_to_norm(kind, table.norm_type, norm, load_quad<Width>(row, column, table.dim));
  }
  return norm;
}

/// `lanes`: of the whole row, where the table has a part of its columns; else nullptr.
template <int Width, typename Stored>
__device__ __forceinline__ void renormalize_row(const table_record& table, const float* lanes,
                                                Stored* row) {
  const numerics::norm_kind kind = numerics::norm_kind_of(table.norm_type);
  float norm = lanes == nullptr ? norm_of_lane<Width>(table, kind, row) : lanes[lane_index()];
  norm = numerics::finish_norm(kind, table.norm_type, warp_butterfly(norm, combine_norms{kind}));
  const float scale = numerics::max_norm_scale(norm, table.max_norm);
  if (scale == 1.0F) return;
  for (std::int32_t column = lane_index() * quad_elements; column < table.dim;
       column += warp_quad_elements) {
    quad x = load_quad<Width>(row, column, table.dim);
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) x.value[i] *= scale;
    store_quad<Width>(row, column, table.dim, x);
  }
}

__global__ void __launch_bounds__(256)
    renormalize_rows_kernel(const __grid_constant__ device_problem problem,
                            const __grid_constant__ device_occurrences occurrences) {
  if (problem.status->batch_fault != 0) return;
  const std::int64_t num_runs = *occurrences.num_runs;
  for (std::int64_t run = warp_index(); run < num_runs; run += num_warps()) {
    const std::int64_t global_row = occurrences.rows[run];
    const table_record& table = problem.tables[table_of_row(problem, global_row)];
    if (!table.renormalize) continue;
    const std::int64_t offset = (global_row - table.first_row) * table.row_stride;
    const int width = access_width(table.rows, table.row_stride, table.dim, table.row_type);
    const float* lanes = table.shard.row_lanes[0];
    if (lanes != nullptr) lanes += (run - first_run_of(occurrences, table.first_row)) * warp_size;
    with_row_access(table.row_type, width, [&](auto access) {
      using Access = decltype(access);
      renormalize_row<Access::width>(table, lanes,
                                     static_cast<typename Access::stored*>(table.rows) + offset);
    });
  }
}

}  // namespace warpbag::kernels
