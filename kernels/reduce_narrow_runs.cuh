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

/// The runs of one window. Each group gives away as many of the rows.
template <typename Gradient>
class narrow_rows {
 public:
  __device__ __forceinline__ narrow_rows(const reduction& work, std::int32_t t,
                                         const lane_group& group, narrow_storage& storage,
                                         bool together)
      : work_(work),
        t_(t),
        table_(work.problem.tables[t]),
        group_(group),
        storage_(storage),
        together_(together),
        window_(work.problem, work.occurrences.positions, work.offsets_type, group, storage.window,
                storage.sums[0], table_.dim, !together) {}

  __device__ __forceinline__ void reduce(const window_runs& runs) const {
    const int num_groups = warp_size >> group_.log_width;
    const std::int32_t most = (runs.count + num_groups - 1) >> (widest_class - group_.log_width);
    const std::int32_t mine = most * group_.index;
    const std::int32_t count = max(min(most, runs.count - mine), 0);
    const std::int64_t* const rows = work_.occurrences.rows + runs.first + mine;
    const auto row_of_item = [&](unsigned i) { return rows[i] - table_.first_row; };
    if (!together_) {
      if (table_.gradient.form == operations::gradient_form::fused) {
        prefetch_rows(table_, group_, count, row_of_item);
      }
      window_.sum(runs);
      deliver_gradients(work_, group_.log_width, summed(runs.first + mine, count, mine));
      return;
    }
    prefetch_rows_together(table_, group_, count, row_of_item);
    window_.sum(runs);
    if (finishes_gradients(table_)) {
      finish_gradients(work_, group_, summed(runs.first + mine, count, mine));
    }
    const planned_table& plan = work_.plan[t_];
    for (std::int32_t done = 0; done < most; done += rows_together) {
      update_rows_together(table_, plan.row_width == quad_elements, plan.factors, group_,
                           window_.at(mine + done), window_.sum_bytes(), 1,
                           min(most - done, rows_together), storage_.rowwise, [&](std::int32_t i) {
                             return done + i < count ? row_of_item(static_cast<unsigned>(done + i))
                                                     : -1;
                           });
    }
    if (rounds_stochastically(table_)) {
      store_rounded_rows(work_, group_, summed(runs.first + mine, count, mine));
    }
  }

 private:
  __device__ __forceinline__ summed_runs summed(std::int32_t first, std::int32_t count,
                                                int place) const {
    return {t_, first, first + count, window_.at(place).data, quad_elements << group_.log_width};
  }

  const reduction& work_;
  std::int32_t t_;  // the table
  const table_record& table_;
  const lane_group& group_;
  narrow_storage& storage_;
  bool together_;
  run_window<Gradient> window_;
};

/// Calls reduce(window) for the windows of a tile.
template <typename Reduce>
__device__ __forceinline__ void for_each_window(const reduction& work, const planned_table& plan,
                                                std::int64_t tile, Reduce reduce) {
  const std::int64_t first = (tile - plan.first_tile) * items_per_tile(plan);
  const std::int64_t last = min(first + items_per_tile(plan), plan.num_items);
  const auto last_run = static_cast<std::int32_t>(plan.first_item + last);
  for (auto run = static_cast<std::int32_t>(plan.first_item + first); run < last_run;) {
    const window_runs runs(work.occurrences.run_begins, run, last_run);
    if (runs.count > 0) reduce(runs);
    run += max(runs.count, 1);  // a long one is not for this kernel
  }
}

/// The loop over tiles stands in reduce_short_runs once more: as a function of both, which takes
/// the rest, it made that kernel spill 436 bytes. Two kernels, as there.
template <typename Gradient, bool Together>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    reduce_narrow_runs(const __grid_constant__ reduction work) {
  __shared__ narrow_storage storages[gradient_walk_policy::warps_per_block];
  narrow_storage& storage = storages[threadIdx.x / warp_size];
  if (lane_index() == 0) storage.window.feature = 0;
  const std::int64_t num_tiles = work.plan[work.problem.num_tables].first_tile;
  for (std::int64_t tile = warp_index(); tile < num_tiles; tile += num_warps()) {
    const std::int32_t t = table_of_tile(work.plan, work.problem.num_tables, tile);
    const planned_table& plan = work.plan[t];
    if (!is_narrow(plan.log_width) || plan.rows_together != Together) continue;
    if constexpr (Together) {  // only where groups have eight lanes
      const lane_group group(run_window_policy::widest_class);
      const narrow_rows<Gradient> rows(work, t, group, storage, true);
      for_each_window(work, plan, tile, [&](const window_runs& runs) { rows.reduce(runs); });
    } else {
      for_each_window(work, plan, tile, [&](const window_runs& runs) {
        // All that deliver_gradients finds out about the table would be kept from one window to the
        // next, and spill: so the compiler may not know that it is the same one.
        std::int32_t same = t;
        asm volatile("" : "+r"(same));
        const lane_group group(work.plan[same].log_width);
        narrow_rows<Gradient>(work, same, group, storage, false).reduce(runs);
      });
    }
    __syncwarp();
  }
}

}  // namespace warpbag::kernels
