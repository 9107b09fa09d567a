// SPDX-License-Identifier: Apache-2.0
#pragma once
// reduce_gradients on runs of ordinary length where rows have at most 32 columns: a warp sums a
// window of runs at a time, and its groups give away the sums. Wider rows: reduce_gradients.cuh.

#include "kernels/common/reduction.cuh"
#include "kernels/common/run_window.cuh"

namespace warpbag::kernels {

/// Shared memory of a warp.
struct alignas(16) narrow_storage {
  window_memory window;
  float sums[run_window_policy::occurrences][run_window_policy::most_columns];
  rowwise_memory rowwise;
};

/// A tile of narrow rows, window by window. Each group gives away as many of a window's rows.
template <typename Gradient>
class narrow_tile {
 public:
  __device__ __forceinline__ narrow_tile(const reduction& work, const table_record& table,
                                         const planned_table& plan, const lane_group& group,
                                         narrow_storage& storage, bool together)
      : work_(work),
        table_(table),
        plan_(plan),
        group_(group),
        storage_(storage),
        together_(together),
        window_(work.problem, work.occurrences.positions, work.offsets_type, group, storage.window,
                storage.sums[0], table.dim, !together) {}

  __device__ __forceinline__ void reduce(std::int32_t first, std::int32_t last) const {
    std::int32_t feature = 0;
    for (std::int32_t run = first; run < last;) {
      const window_runs runs(work_.occurrences.run_begins, run, last);
      if (runs.count > 0) reduce_window(runs, feature);
      run += max(runs.count, 1);  // a long one is not for this kernel
    }
  }

 private:
  __device__ __forceinline__ void reduce_window(const window_runs& runs,
                                                std::int32_t& feature) const {
    const int num_groups = warp_size >> group_.log_width;
    const std::int32_t most = (runs.count + num_groups - 1) >> (widest_class - group_.log_width);
    const std::int32_t mine = most * group_.index;
    const std::int32_t count = max(min(most, runs.count - mine), 0);
    const std::int64_t* const rows = work_.occurrences.rows + runs.first + mine;
    const auto row_of_item = [&](unsigned i) { return rows[i] - table_.first_row; };
    if (together_) {
      prefetch_rows_together(table_, group_, count, row_of_item);
      window_.sum(runs, feature);
      for (std::int32_t done = 0; done < most; done += rows_together) {
        update_rows_together(
            table_, plan_.row_width == quad_elements, plan_.factors, group_,
            window_.at(mine + done), window_.sum_bytes(), min(most - done, rows_together),
            storage_.rowwise, [&](std::int32_t i) {
              return done + i < count ? row_of_item(static_cast<unsigned>(done + i)) : -1;
            });
      }
      return;
    }
    if (table_.gradient.form == operations::gradient_form::fused) {
      prefetch_rows(table_, group_, count, row_of_item);
    }
    window_.sum(runs, feature);
    for (std::int32_t i = mine; i < mine + count; ++i) {
      deliver_gradient(work_, table_, plan_, group_, runs.first + i, window_.at(i));
    }
  }

  const reduction& work_;
  const table_record& table_;
  const planned_table& plan_;
  const lane_group& group_;
  narrow_storage& storage_;
  bool together_;
  run_window<Gradient> window_;
};

template <typename Gradient>
__device__ __forceinline__ void reduce_narrow_tile(const reduction& work, const table_record& table,
                                                   const planned_table& plan,
                                                   const lane_group& group, narrow_storage& storage,
                                                   bool together, std::int64_t tile) {
  const std::int64_t first = (tile - plan.first_tile) * items_per_tile(plan);
  const std::int64_t last = min(first + items_per_tile(plan), plan.num_items);
  narrow_tile<Gradient>(work, table, plan, group, storage, together)
      .reduce(static_cast<std::int32_t>(plan.first_item + first),
              static_cast<std::int32_t>(plan.first_item + last));
}

/// The loop over tiles stands in reduce_short_runs once more: as a function of both, which takes
/// the rest, it made that kernel spill 316 bytes.
template <typename Gradient>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    reduce_narrow_runs(const __grid_constant__ reduction work) {
  __shared__ narrow_storage storages[gradient_walk_policy::warps_per_block];
  narrow_storage& storage = storages[threadIdx.x / warp_size];
  const std::int64_t num_tiles = work.plan[work.problem.num_tables].first_tile;
  for (std::int64_t tile = warp_index(); tile < num_tiles; tile += num_warps()) {
    const std::int32_t t = table_of_tile(work.plan, work.problem.num_tables, tile);
    const table_record& table = work.problem.tables[t];
    const planned_table& plan = work.plan[t];
    if (!is_narrow(plan.log_width)) continue;
    // Rows are updated together only where groups have eight lanes, which is then a constant.
    if (plan.rows_together && table.gradient.form == operations::gradient_form::fused) {
      reduce_narrow_tile<Gradient>(work, table, plan, lane_group(run_window_policy::widest_class),
                                   storage, true, tile);
    } else {
      reduce_narrow_tile<Gradient>(work, table, plan, lane_group(plan.log_width), storage, false,
                                   tile);
    }
    __syncwarp();
  }
}

}  // namespace warpbag::kernels
