// SPDX-License-Identifier: Apache-2.0
#pragma once
// reduce_gradients on runs of ordinary length: a group of lanes sums its rows' gradients, keeps
// them to itself in shared memory, and then gives each to the form of its table. Long runs are cut
// up by reduce_long_runs.cuh.

#include "kernels/common/reduction.cuh"

namespace warpbag::kernels {

/// One block: the tiles of every table's runs, and the number of rows of sparse gradients.
__global__ void __launch_bounds__(table_plan_policy::threads)
    plan_runs(const __grid_constant__ reduction work) {
  const bool fault = work.problem.status->batch_fault != 0;
  plan_tables(work.problem, work.plan, fault ? 0 : *work.occurrences.num_runs,
              [&](int t, std::int64_t& first) -> std::int64_t {
                const table_record& table = work.problem.tables[t];
                if (fault || table.gradient.form == operations::gradient_form::none) return 0;
                first = first_run_of(work.occurrences, table.first_row);
                const std::int64_t count =
                    first_run_of(work.occurrences, table.first_row + table.num_rows) - first;
                if (table.gradient.form == operations::gradient_form::sparse) {
                  *table.gradient.count = count;
                }
                return count;
              });
}

/// The short runs among [first, last), by one group.
template <typename Gradient>
class run_group {
 public:
  __device__ __forceinline__ run_group(const reduction& work, const table_record& table,
                                       const planned_table& plan, const lane_group& group,
                                       walk_storage<Gradient>& storage, std::int32_t first,
                                       std::int32_t last)
      : work_(work),
        table_(table),
        plan_(plan),
        group_(group),
        storage_(storage),
        sums_(lane_sums(storage.sums[0], work.wide_sums, work.max_dim, table.dim)),
        first_(first),
        last_(last) {}

  __device__ __forceinline__ void reduce() const {
    if (table_.gradient.form == operations::gradient_form::fused) {
      const std::int64_t* const rows = work_.occurrences.rows + first_;
      prefetch_rows(table_, group_, last_ - first_,
                    [&](unsigned i) { return rows[i] - table_.first_row; });
    }
    for (int strip = 0; strip < num_strips(table_.dim); ++strip) sum_strip(strip);
    for (std::int32_t run = first_; run < last_; ++run) {
      if (is_long(run)) continue;
      deliver_gradient(work_, table_, plan_, group_, run, sums_of(run));
    }
  }

 private:
  __device__ __forceinline__ bool is_long(std::int32_t run) const {
    const std::uint32_t* begins = work_.occurrences.run_begins;
    return begins[run + 1] - begins[run] > run_policy::longest_run;
  }

  /// First long run after a short one, or last_: where all that follow are short together, that is
  /// seen at once.
  __device__ __forceinline__ std::int32_t end_of_short_runs(std::int32_t run) const {
    const std::uint32_t* begins = work_.occurrences.run_begins;
    if (begins[last_] - begins[run] <= run_policy::longest_run) return last_;
    std::int32_t end = run + 1;
    while (end < last_ && !is_long(end)) ++end;
    return end;
  }

  __device__ __forceinline__ lane_gradient sums_of(std::int32_t run) const {
    return {sums_.data + (run - first_) * num_strips(table_.dim) * strip_columns};
  }

  __device__ __forceinline__ void sum_strip(int strip) const {
    const std::uint32_t* begins = work_.occurrences.run_begins;
    const std::int32_t column = column_of(group_, strip);
    const gradient_walk<Gradient> walk = {work_.problem,
                                          work_.occurrences.positions,
                                          work_.offsets_type,
                                          group_,
                                          storage_.ring,
                                          table_.dim,
                                          column};
    std::int32_t run = first_;
    while (run < last_) {
      if (is_long(run)) {
        ++run;
        continue;
      }
      const std::int32_t end = end_of_short_runs(run);
      walk.sum_runs(
          begins[run], begins[end], run, [&](std::int32_t r) { return begins[r + 1]; },
          [&](std::int32_t r, const quad& sum) {
            sums_of(r).store(strip, within_row(sum, column, table_.dim));
          });
      run = end;
    }
  }

  const reduction& work_;
  const table_record& table_;
  const planned_table& plan_;
  const lane_group& group_;
  walk_storage<Gradient>& storage_;
  lane_gradient sums_;
  std::int32_t first_;
  std::int32_t last_;
};

template <typename Gradient>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    reduce_short_runs(const __grid_constant__ reduction work) {
  __shared__ walk_storage<Gradient> storages[gradient_walk_policy::warps_per_block];
  walk_storage<Gradient>& storage = storages[threadIdx.x / warp_size];
  if (warp_index() >= work.plan[work.problem.num_tables].first_tile) return;
  clear_ring(storage.ring);
  for (std::int64_t tile = warp_index(); tile < work.plan[work.problem.num_tables].first_tile;
       tile += num_warps()) {
    const std::int32_t t = table_of_tile(work.plan, work.problem.num_tables, tile);
    const table_record& table = work.problem.tables[t];
    const planned_table& plan = work.plan[t];
    const lane_group group(width_class(table.dim));
    const std::int64_t first = (tile - plan.first_tile) * items_per_tile(plan, table.dim) +
                               std::int64_t{group.index} * plan.items_per_group;
    const std::int64_t last = min(first + plan.items_per_group, plan.num_items);
    if (first < last) {
      run_group<Gradient>(work, table, plan, group, storage,
                          static_cast<std::int32_t>(plan.first_item + first),
                          static_cast<std::int32_t>(plan.first_item + last))
          .reduce();
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
