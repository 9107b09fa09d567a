// SPDX-License-Identifier: Apache-2.0
#pragma once
// reduce_gradients on runs of ordinary length: a group of lanes sums its rows' gradients, keeps
// them to itself in shared memory, and then gives each to the form of its table. Long runs are cut
// up by reduce_long_runs.cuh.

#include "kernels/common/reduction.cuh"
#include "kernels/common/run_window.cuh"

namespace warpbag::kernels {

/// How the rows of a tile are updated. The constants among these are folded into code of their own.
struct tile_kind {
  bool together;  // by rowwise_rows.cuh
  int strips;     // of a row
};

/// The short runs of one tile: [first, last) for each group of a warp, whose groups work together.
template <typename Gradient>
class run_tile {
 public:
  __device__ __forceinline__ run_tile(const reduction& work, std::int32_t t,
                                      const lane_group& group, walk_storage& storage,
                                      const tile_kind& kind, std::int32_t first, std::int32_t last)
      : work_(work),
        t_(t),
        table_(work.problem.tables[t]),
        plan_(work.plan[t]),
        group_(group),
        storage_(storage),
        kind_(kind),
        begins_(work.occurrences.run_begins),
        shared_sums_{storage.sums[0] + lane_index() * quad_elements},
        first_(first),
        last_(last) {}

  __device__ __forceinline__ void reduce() const {
    const std::int64_t* const rows = work_.occurrences.rows + first_;
    const auto row_of_item = [&](unsigned i) { return rows[i] - table_.first_row; };
    if (kind_.together && kind_.strips == 1) {
      prefetch_rows_together(table_, group_, last_ - first_, row_of_item);
    } else if (table_.gradient.form == operations::gradient_form::fused) {
      prefetch_rows(table_, group_, last_ - first_, row_of_item);
    }
    for (int strip = 0; strip < kind_.strips; ++strip) sum_strip(strip);
    const summed_runs runs = {t_, first_, last_,
                              kind_.together ? shared_sums_.data : sums_of(first_).data,
                              kind_.strips * strip_columns};
    if (!kind_.together) {
      deliver_gradients(work_, group_.log_width, runs);
      return;
    }
    if (finishes_gradients(table_)) finish_gradients(work_, group_, runs);
    for (std::int32_t done = 0; done < plan_.items_per_group; done += rows_together) {
      const lane_gradient sums = {shared_sums_.data + done * kind_.strips * strip_columns};
      update_rows_together(table_, plan_.row_width == quad_elements, plan_.factors, group_, sums,
                           kind_.strips * strip_bytes, kind_.strips,
                           min(plan_.items_per_group - done, rows_together), storage_.rowwise,
                           [&](std::int32_t i) {
                             const std::int32_t run = first_ + done + i;
                             const bool mine = run < last_ && !is_long(run);
                             return mine ? row_of_item(static_cast<unsigned>(done + i)) : -1;
                           });
    }
    if (rounds_stochastically(table_)) store_rounded_rows(work_, group_, runs);
  }

 private:
  __device__ __forceinline__ std::uint32_t begin_of(std::int32_t run) const { return begins_[run]; }

  __device__ __forceinline__ bool is_long(std::int32_t run) const {
    return begin_of(run + 1) - begin_of(run) > run_policy::longest_run;
  }

  /// First long run from `run` on, or last_: where all that follow are short together, that is seen
  /// at once.
  __device__ __forceinline__ std::int32_t end_of_short_runs(std::int32_t run) const {
    if (begin_of(last_) - begin_of(run) <= run_policy::longest_run) return last_;
    while (run < last_ && !is_long(run)) ++run;
    return run;
  }

  __device__ __forceinline__ lane_gradient sums_of(std::int32_t run) const {
    const lane_gradient sums =
        lane_sums(storage_.sums[0], work_.wide_sums, work_.max_dim, table_.dim);
    return {sums.data + (run - first_) * kind_.strips * strip_columns};
  }

  __device__ __forceinline__ void sum_strip(int strip) const {
    const std::int32_t column = column_of(group_, strip);
    const gradient_walk<Gradient, run_policy::longest_run> walk = {work_.problem,
                                                                   work_.occurrences.positions,
                                                                   work_.offsets_type,
                                                                   group_,
                                                                   storage_.walk,
                                                                   table_.dim,
                                                                   column};
    std::int32_t run = first_;
    while (__any_sync(full_mask, run < last_) != 0) {
      while (run < last_ && is_long(run)) ++run;
      const std::int32_t end = end_of_short_runs(run);
      // A group that has no run left has no occurrences, and the tile's last one as their end.
      const std::uint32_t past = begin_of(run < last_ ? end : last_);
      const auto place_in = [&](std::uint32_t chunk, std::uint32_t begin) {
        const std::uint32_t place = begin - chunk;
        return place < static_cast<unsigned>(group_.width) ? 1U << place : 0U;
      };
      const std::int32_t mine = run + group_.lane;
      const std::uint32_t my_begin = mine < end ? begin_of(mine) : ~0U;
      const auto heads = [&](std::uint32_t chunk) {
        unsigned bits = place_in(chunk, my_begin);
        for (std::int32_t r = mine + group_.width; r < end; r += group_.width) {
          bits |= place_in(chunk, begin_of(r));
        }
        return bits;
      };
      lane_gradient next = {shared_sums_.data +
                            ((run - first_) * kind_.strips + strip) * strip_columns};
      walk.sum_runs(begin_of(run), past, heads, [&](int n, const quad& sum) {
        if (kind_.together) {
          next.store(0, sum);
          next.data += kind_.strips * strip_columns;
        } else {
          sums_of(run + n).store(strip, within_row(sum, column, table_.dim));
        }
      });
      run = end;
    }
  }

  const reduction& work_;
  std::int32_t t_;  // the table
  const table_record& table_;
  const planned_table& plan_;
  const lane_group& group_;
  walk_storage& storage_;
  tile_kind kind_;
  const std::uint32_t* begins_;
  lane_gradient shared_sums_;  // where rows are updated together
  std::int32_t first_;
  std::int32_t last_;
};

template <typename Gradient>
__device__ __forceinline__ void reduce_tile(const reduction& work, std::int32_t t,
                                            const lane_group& group, walk_storage& storage,
                                            const tile_kind& kind, std::int64_t tile) {
  const planned_table& plan = work.plan[t];
  const std::int64_t first = (tile - plan.first_tile) * items_per_tile(plan) +
                             std::int64_t{group.index} * plan.items_per_group;
  const std::int64_t last = min(first + plan.items_per_group, plan.num_items);
  run_tile<Gradient>(work, t, group, storage, kind,
                     static_cast<std::int32_t>(plan.first_item + min(first, last)),
                     static_cast<std::int32_t>(plan.first_item + last))
      .reduce();
}

/// Two kernels: rows that are updated together take registers that the rest would spill.
template <typename Gradient, bool Together>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    reduce_short_runs(const __grid_constant__ reduction work) {
  __shared__ walk_storage storages[gradient_walk_policy::warps_per_block];
  walk_storage& storage = storages[threadIdx.x / warp_size];
  // Its first tile is read again for each tile: kept over the call of deliver_gradients it spills.
  const planned_table& past_all = work.plan[work.problem.num_tables];
  for (std::int64_t tile = warp_index(); tile < past_all.first_tile; tile += num_warps()) {
    const std::int32_t t = table_of_tile(work.plan, work.problem.num_tables, tile);
    const planned_table& plan = work.plan[t];
    // Narrow rows: reduce_narrow_runs.cuh.
    if (is_narrow(plan.log_width) || plan.rows_together != Together) continue;
    const int strips = num_strips(work.problem.tables[t].dim);
    // One piece of code for each, in which the constants are folded: the width of groups is in most
    // of what a warp works out before it adds.
    if (!Together) {
      reduce_tile<Gradient>(work, t, lane_group(plan.log_width), storage, {false, strips}, tile);
    } else if (strips > 1) {
      reduce_tile<Gradient>(work, t, lane_group(widest_class), storage, {true, strips}, tile);
    } else if (plan.log_width == widest_class) {
      reduce_tile<Gradient>(work, t, lane_group(widest_class), storage, {true, 1}, tile);
    } else {
      reduce_tile<Gradient>(work, t, lane_group(widest_class - 1), storage, {true, 1}, tile);
    }
    __syncwarp();
  }
}

/// Dense gradients of rows that the batch did not touch.
__global__ void zero_dense_gradients(const __grid_constant__ device_problem problem) {
  if (problem.status->batch_fault != 0) return;
  for (int t = 0; t < problem.num_tables; ++t) {
    const table_record& table = problem.tables[t];
    if (table.gradient.form != operations::gradient_form::dense) continue;
    const std::int64_t bytes =
        table.num_rows * table.dim * (table.gradient.value_type == dtype::f32 ? 4 : 2);
    char* base = static_cast<char*>(table.gradient.values);
    const bool aligned = reinterpret_cast<std::uint64_t>(base) % sizeof(uint4) == 0;
    const std::int64_t num_vectors = aligned ? bytes / std::int64_t{sizeof(uint4)} : 0;
    for (std::int64_t i = thread_index(); i < num_vectors; i += num_threads()) {
      reinterpret_cast<uint4*>(base)[i] = make_uint4(0, 0, 0, 0);
    }
    const std::int64_t rest = num_vectors * std::int64_t{sizeof(uint4)} / 2;
    for (std::int64_t i = rest + thread_index(); i < bytes / 2; i += num_threads()) {
      reinterpret_cast<std::uint16_t*>(base)[i] = 0;
    }
  }
}

}  // namespace warpbag::kernels
