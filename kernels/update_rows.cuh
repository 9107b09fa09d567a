// SPDX-License-Identifier: Apache-2.0
#pragma once
// The optimizer step from given sparse gradients: the second half of the fused reduce_gradients.

#include "kernels/common/reduction.cuh"

namespace warpbag::kernels {

/// One block: the tiles of every table's given rows. `all_items` is their number or more.
__global__ void __launch_bounds__(table_plan_policy::threads)
    plan_given_rows(const __grid_constant__ reduction work, std::int64_t all_items) {
  const bool fault = work.problem.status->batch_fault != 0;
  plan_tables(work.problem, work.plan, all_items, [&](int t, std::int64_t&) -> std::int64_t {
    const operations::gradient_record& gradient = work.problem.tables[t].gradient;
    return fault || gradient.form != operations::gradient_form::sparse ? 0 : *gradient.count;
  });
}

/// Clipping of a part of a row by the norm of the whole.
__device__ __forceinline__ void clip_part_of_row(const row_sums& sums, lane_gradient gradient) {
  const optimizer_options& options = sums.table.optimizer;
  if (options.clipping != clipping_kind::norm) return;
  const float scale = numerics::clip_scale(sums.sum(0, 0.0F), options.clipping_limit);
  for (int strip = 0; strip < num_strips(sums.table.dim); ++strip) {
    quad g = gradient.load(strip);
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) g.value[i] *= scale;
    gradient.store(strip, g);
  }
}

__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    update_given_rows(const __grid_constant__ reduction work) {
  __shared__ alignas(16) float sums[gradient_walk_policy::warps_per_block]
                                   [gradient_walk_policy::sums_per_lane][strip_columns];
  const std::int64_t num_tiles = work.plan[work.problem.num_tables].first_tile;
  for (std::int64_t tile = warp_index(); tile < num_tiles; tile += num_warps()) {
    const std::int32_t t = table_of_tile(work.plan, work.problem.num_tables, tile);
    const table_record& table = work.problem.tables[t];
    const planned_table& plan = work.plan[t];
    const lane_group group(plan.log_width);
    const std::int64_t first = (tile - plan.first_tile) * items_per_tile(plan) +
                               std::int64_t{group.index} * plan.items_per_group;
    const std::int64_t last = min(first + plan.items_per_group, plan.num_items);
    const lane_gradient gradient =
        lane_sums(sums[threadIdx.x / warp_size][0], work.wide_sums, work.max_dim, table.dim);
    for (std::int64_t item = first; item < last; ++item) {
      const row_view values(table.gradient.values, table.gradient.value_type, table.dim, table.dim,
                            item, plan.value_width);
      for (int strip = 0; strip < num_strips(table.dim); ++strip) {
        gradient.store(strip, values.load(column_of(group, strip)));
      }
      const std::int64_t row = table.gradient.rows[item];
      const bool whole = table.shard.row_lanes[0] == nullptr;
      const std::int64_t touched = whole ? row_sums::whole_row : item;
      if (!whole) clip_part_of_row({table, group, touched}, gradient);
      row_updater(table, plan.factors, group, row, gradient, plan.row_width, touched).update();
      if (rounds_stochastically(table)) {
        store_rounded_row(table, group, row, gradient, plan.row_width);
      }
    }
    __syncwarp();
  }
}

}  // namespace warpbag::kernels
