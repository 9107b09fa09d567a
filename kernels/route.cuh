// SPDX-License-Identifier: Apache-2.0
#pragma once
// The runs of deduplicate ascend by table and row. A stable sort by destination keeps that order
// within each destination; the place of a run in it is its compact id, which all its positions get.

#include "kernels/common/records.cuh"
#include "kernels/common/routing_work.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// Sort keys of `capacity` runs: destinations numbered through all tables. Runs that are not there
/// come behind them.
__global__ void __launch_bounds__(256) make_route_keys(const __grid_constant__ routing_work work,
                                                       std::int64_t capacity, std::uint32_t* keys) {
  const std::int64_t num_runs = work.num_runs();
  for (std::int64_t run = thread_index(); run < capacity; run += num_threads()) {
    std::int64_t key = work.num_destinations();
    if (run < num_runs) {
      const std::int64_t row = work.occurrences.rows[run];
      const std::int32_t t = table_of_row(work.problem, row);
      const numerics::row_place place =
          operations::destination_of(work.tables[t], row - work.problem.tables[t].first_row);
      key = work.first_destination[t] + place.owner;
      work.routed_row[run] = place.row;
    }
    keys[run] = static_cast<std::uint32_t>(key);
  }
}

/// Index of the first of the ascending keys that is not below `key`.
__device__ __forceinline__ std::int64_t first_key(const std::uint32_t* keys, std::int64_t count,
                                                  std::int64_t key) {
  std::int64_t low = 0;
  for (std::int64_t high = count; low < high;) {
    const std::int64_t middle = low + (high - low) / 2;
    if (keys[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

__global__ void __launch_bounds__(256)
    count_routed(const __grid_constant__ routing_work work, const std::uint32_t* sorted_keys) {
  if (work.problem.status->batch_fault != 0) return;
  const std::int64_t num_runs = work.num_runs();
  for (std::int64_t d = thread_index(); d < work.num_destinations(); d += num_threads()) {
    work.counts[d] = first_key(sorted_keys, num_runs, d + 1) - first_key(sorted_keys, num_runs, d);
  }
  for (std::int64_t t = thread_index(); t <= work.problem.num_tables; t += num_threads()) {
    work.first_run[t] = first_key(sorted_keys, num_runs, work.first_destination[t]);
  }
}

__global__ void __launch_bounds__(256)
    number_routed(const __grid_constant__ routing_work work, const std::uint32_t* sorted_keys,
                  const std::uint32_t* sorted_runs, std::uint32_t* compact_id_of_run) {
  if (work.problem.status->batch_fault != 0) return;
  const std::int64_t num_runs = work.num_runs();
  for (std::int64_t i = thread_index(); i < num_runs; i += num_threads()) {
    const std::int64_t t = last_index(work.problem.num_tables, [&](std::int64_t table) {
      return work.first_destination[table] <= sorted_keys[i];
    });
    const std::uint32_t run = sorted_runs[i];
    work.rows[i] = work.routed_row[run];
    compact_id_of_run[run] = static_cast<std::uint32_t>(i - work.first_run[t]);
  }
}

/// What is no occurrence: padding becomes the number of the table's routed rows, a bad id -1.
template <typename Index>
__device__ __forceinline__ void write_dead_ids(const routing_work& work) {
  const device_problem& problem = work.problem;
  for (std::int64_t position = thread_index(); position < problem.total_positions;
       position += num_threads()) {
    const std::int32_t f = feature_of_position(problem, position);
    const feature_record& feature = problem.features[f];
    const std::int64_t index = position - feature.first_position;
    if (index >= end_of_bags<Index>(feature)) continue;
    const table_record& table = problem.tables[feature.table];
    const std::int64_t id = load_index<Index>(feature.ids, index);
    if (is_occurrence(table, id)) continue;
    const std::int64_t padding = work.first_run[feature.table + 1] - work.first_run[feature.table];
    static_cast<Index*>(work.compact_ids[f])[index] =
        static_cast<Index>(in_range(table, id) ? padding : -1);
  }
}

/// A lane an occurrence, in their sorted order. A run has one occurrence at least, so a warp finds
/// the runs of its 32 after a common search within 32.
template <typename Index>
__device__ __forceinline__ void write_live_ids(const routing_work& work,
                                               const std::uint32_t* compact_id_of_run) {
  const std::int64_t num_runs = work.num_runs();
  const std::uint32_t* const begins = work.occurrences.run_begins;
  const std::int64_t count = begins[num_runs];
  for (std::int64_t first = warp_index() * warp_size; first < count;
       first += num_warps() * warp_size) {
    const std::int64_t i = first + lane_index();
    const std::int64_t first_run =
        last_index(num_runs, [&](std::int64_t run) { return begins[run] <= first; });
    if (i >= count) continue;
    const std::int64_t nearby = min(num_runs - first_run, std::int64_t{warp_size});
    const std::int64_t run =
        first_run + last_index(nearby, [&](std::int64_t k) { return begins[first_run + k] <= i; });
    const std::uint32_t position = work.occurrences.positions[i];
    const std::int32_t f = feature_of_position(work.problem, position);
    static_cast<Index*>(work.compact_ids[f])[position - work.problem.features[f].first_position] =
        static_cast<Index>(compact_id_of_run[run]);
  }
}

template <typename Index>
__global__ void __launch_bounds__(256) write_compact_ids(const __grid_constant__ routing_work work,
                                                         const std::uint32_t* compact_id_of_run) {
  if (work.problem.status->batch_fault != 0) return;
  write_dead_ids<Index>(work);
  write_live_ids<Index>(work, compact_id_of_run);
}

}  // namespace warpbag::kernels
