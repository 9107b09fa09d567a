// SPDX-License-Identifier: Apache-2.0
#pragma once
// Partial sums of rows: the ids under which they are made, and their way to the owners of the rows.

#include "kernels/common/table_plan.cuh"
#include "operations/routing.hpp"

namespace warpbag::kernels {

template <typename Index>
__global__ void __launch_bounds__(256)
    split_by_subtree_kernel(const __grid_constant__ device_problem problem,
                            const operations::subtree_record* records) {
  if (problem.status->batch_fault != 0) return;
  for (std::int64_t position = thread_index(); position < problem.total_positions;
       position += num_threads()) {
    const std::int32_t f = feature_of_position(problem, position);
    const feature_record& feature = problem.features[f];
    const std::int64_t index = position - feature.first_position;
    if (records[f].ids == nullptr) continue;
    if (index >= end_of_bags<Index>(feature)) continue;
    const auto local = static_cast<std::uint32_t>(index);
    const std::int32_t slice =
        slice_of_lookup(feature, local, bag_within_feature(problem, feature, local));
    static_cast<Index*>(records[f].ids)[index] = static_cast<Index>(
        operations::split_id(records[f], load_index<Index>(feature.ids, index), slice));
  }
}

struct packing_work {
  device_problem problem;
  device_occurrences occurrences;
  const operations::packed_record* tables;  // [num_tables]; packed nullptr: nothing is wanted
  const planned_table* plan;                // of reduce_gradients
};

__global__ void __launch_bounds__(256) pack_sums(const __grid_constant__ packing_work work) {
  if (work.problem.status->batch_fault != 0) return;
  const std::int64_t num_runs = *work.occurrences.num_runs;
  for (std::int64_t run = thread_index(); run < num_runs; run += num_threads()) {
    const std::int64_t row = work.occurrences.rows[run];
    const std::int32_t t = table_of_row(work.problem, row);
    const operations::packed_record& to = work.tables[t];
    if (to.packed == nullptr) continue;
    const std::int64_t sum = run - work.plan[t].first_item;
    to.packed[sum] = operations::packed_partial(to, row - work.problem.tables[t].first_row);
    if (to.occurrences == nullptr) continue;
    to.occurrences[sum] = work.occurrences.run_begins[run + 1] - work.occurrences.run_begins[run];
  }
}

/// Sums for each destination. A warp a table, a lane a destination.
__global__ void __launch_bounds__(256) count_packed(const __grid_constant__ packing_work work) {
  if (work.problem.status->batch_fault != 0) return;
  for (std::int64_t warp = warp_index(); warp < work.problem.num_tables; warp += num_warps()) {
    const int t = static_cast<int>(warp);
    const operations::packed_record& to = work.tables[t];
    if (to.packed == nullptr) continue;
    std::int64_t before = 0;  // routed rows of the destinations of the strides before
    for (std::int32_t first = 0; first < to.num_destinations; first += warp_size) {
      const std::int32_t d = first + lane_index();
      const std::int64_t count = d < to.num_destinations ? to.counts[d] : 0;
      std::int64_t end = count;
      for (int distance = 1; distance < warp_size; distance *= 2) {
        const std::int64_t other = __shfl_up_sync(full_mask, end, distance);
        if (lane_index() >= distance) end += other;
      }
      end += before;
      before = __shfl_sync(full_mask, end, warp_size - 1);
      if (d >= to.num_destinations) continue;
      const std::int64_t first_row = work.problem.tables[t].first_row;
      to.sums[d] = first_run_of(work.occurrences, first_row + end * to.num_subtrees) -
                   first_run_of(work.occurrences, first_row + (end - count) * to.num_subtrees);
    }
  }
}

__global__ void __launch_bounds__(256)
    unpack_partials_kernel(const device_status* status, std::int64_t count,
                           const std::int64_t* packed, const std::uint32_t* occurrences,
                           std::int64_t* rows, operations::partial_record* partials) {
  if (status->batch_fault != 0) return;
  for (std::int64_t i = thread_index(); i < count; i += num_threads()) {
    const std::int64_t word = packed[i];
    rows[i] = word / numerics::num_slices;
    partials[i] = {static_cast<std::int32_t>(word % numerics::num_slices),
                   occurrences == nullptr ? 1U : occurrences[i]};
  }
}

}  // namespace warpbag::kernels
