// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the rows to be updated fall into tiles, one per warp: made on the device once a call, because
// only the device knows how many rows each table has in this batch. A tile is of one table, so a
// warp meets one dim, one row type and one optimizer.

#include "kernels/common/element_rows.cuh"
#include "kernels/common/gradient_occurrence.cuh"
#include "kernels/common/gradient_walk.cuh"
#include "kernels/common/rowwise_rows.cuh"
#include "numerics/optimizer_rules.hpp"

namespace warpbag::kernels {

struct planned_table {
  std::int64_t first_tile;
  std::int64_t first_item;  // run (reduce_gradients) or 0 (update_rows)
  std::int64_t num_items;
  std::int32_t items_per_group;
  std::int32_t log_width;  // of the groups
  // Of table.rows and gradient.values: elements per access.
  std::int32_t row_width;
  std::int32_t value_width;
  bool rows_together;   // rowwise_rows.cuh updates the table
  bool elements_alone;  // element_rows.cuh does
  numerics::step_factors factors;
};

/// [num_tables + 1]; the last one's first_tile is the number of tiles.
using table_plan = planned_table*;

struct table_plan_policy {
  static constexpr int threads = 512;
  // A group takes as many rows as its lane-private sums hold, but not so many that far fewer than
  // this many tiles are left: about eight for each of 132 multiprocessors.
  static constexpr std::int64_t enough_tiles = 1024;
};

/// Items of one warp, over its groups.
__device__ __forceinline__ std::int64_t items_per_tile(const planned_table& plan) {
  return std::int64_t{plan.items_per_group} * (warp_size >> plan.log_width);
}

/// The multiple of rows_together that is nearest to `items`, if they are more than that.
__device__ __forceinline__ std::int64_t whole_batches(std::int64_t items) {
  constexpr std::int64_t batch = rows_together;
  return items > batch ? (items + batch / 2) / batch * batch : items;
}

/// Run by one block. items(t, first) is the number of items of table t and sets its first one.
template <typename Items>
__device__ __forceinline__ void plan_tables(const device_problem& problem, table_plan plan,
                                            std::int64_t all_items, Items items) {
  for (int t = static_cast<int>(threadIdx.x); t < problem.num_tables;
       t += static_cast<int>(blockDim.x)) {
    const table_record& table = problem.tables[t];
    planned_table& planned = plan[t];
    planned.first_item = 0;
    planned.num_items = items(t, planned.first_item);
    planned.log_width = width_class(table.dim);
    const int most = max(1, gradient_walk_policy::sums_per_lane / num_strips(table.dim));
    const std::int64_t groups = table_plan_policy::enough_tiles * (warp_size >> planned.log_width);
    planned.items_per_group = static_cast<std::int32_t>(
        min(max(whole_batches((all_items + groups / 2) / groups), std::int64_t{1}),
            std::int64_t{most}));
    planned.row_width = access_width(table.rows, table.row_stride, table.dim, table.row_type);
    planned.value_width =
        access_width(table.gradient.values, table.dim, table.dim, table.gradient.value_type);
    planned.rows_together = updates_rows_together(table);
    planned.elements_alone = updates_elements_alone(table, planned.row_width);
    if (table.step != nullptr) planned.factors = numerics::make_step_factors(*table.step);
    const std::int64_t per_tile = items_per_tile(planned);
    planned.first_tile = (planned.num_items + per_tile - 1) / per_tile;  // a count until summed
  }
  __syncthreads();
  if (threadIdx.x >= warp_size) return;
  std::int64_t before = 0;
  for (int first = 0; first < problem.num_tables; first += warp_size) {
    const int t = first + lane_index();
    const std::int64_t count = t < problem.num_tables ? plan[t].first_tile : 0;
    const std::int64_t sum = sum_up_to_lane(count);
    if (t < problem.num_tables) plan[t].first_tile = before + sum - count;
    before += __shfl_sync(full_mask, sum, warp_size - 1);
  }
  if (lane_index() == 0) plan[problem.num_tables].first_tile = before;
}

/// Table of a tile: the last one that starts at or before it (tables without tiles start where the
/// next one does).
__device__ __forceinline__ std::int32_t table_of_tile(const table_plan plan,
                                                      std::int32_t num_tables, std::int64_t tile) {
  return static_cast<std::int32_t>(
      last_index(num_tables, [&](std::int64_t t) { return plan[t].first_tile <= tile; }));
}

}  // namespace warpbag::kernels
