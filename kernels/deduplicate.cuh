// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sort keys and run heads. A key is the global row of an occurrence; every other position (padding,
// bad, beyond the last offset) gets the key `total_rows`, which sorts behind all rows.

#include "kernels/common/records.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

struct deduplicate_policy {
  // A thread that makes four keys looks its feature up once for all of them, as its positions
  // ascend: 1.3 warp instructions a key in place of 3.2.
  static constexpr int keys_per_thread = 4;
};

template <typename Index, typename Key>
__global__ void __launch_bounds__(256)
    make_keys_kernel(const __grid_constant__ device_problem problem, Key* keys,
                     std::uint32_t* positions) {
  // The sort runs either way: a bad batch has no occurrences.
  const bool good_batch = problem.status->batch_fault == 0;
  const auto dead = static_cast<Key>(problem.total_rows);
  const Index* ids = nullptr;  // of the feature at hand, less its first position
  std::int64_t past = 0;       // positions from here on belong to later features
  std::int64_t past_bags = 0;  // positions from here on belong to no bag
  std::int64_t num_rows = 0;
  std::int64_t padding_idx = 0;
  std::int64_t first_row = 0;
  for (std::int64_t position = thread_index(); position < problem.total_positions;
       position += num_threads()) {
    if (position >= past) {
      const feature_record& feature = problem.features[feature_of_position(problem, position)];
      const table_record& table = problem.tables[feature.table];
      ids = static_cast<const Index*>(feature.ids) - feature.first_position;
      past = feature.first_position + feature.num_ids;
      past_bags = good_batch ? feature.first_position + end_of_bags<Index>(feature) : 0;
      num_rows = table.num_rows;
      padding_idx = table.padding_idx;
      first_row = table.first_row;
    }
    Key key = dead;
    if (position < past_bags) {
      const std::int64_t id = ids[position];
      const bool in_table = static_cast<std::uint64_t>(id) < static_cast<std::uint64_t>(num_rows);
      if (in_table && id != padding_idx) key = static_cast<Key>(first_row + id);
    }
    keys[position] = key;
    positions[position] = static_cast<std::uint32_t>(position);
  }
}

/// Selects the indices where a run of equal sorted keys begins; the run of dead keys counts as one,
/// and its begin is the number of occurrences.
template <typename Key>
struct is_run_begin {
  const Key* sorted_keys;
  __device__ __forceinline__ bool operator()(std::uint32_t i) const {
    return i == 0 || sorted_keys[i] != sorted_keys[i - 1];
  }
};

/// rows from run_begins, and the sentinel run_begins[num_runs]. On entry *num_selected run begins.
template <typename Key>
__global__ void __launch_bounds__(256)
    finish_runs_kernel(const __grid_constant__ device_problem problem, const Key* sorted_keys,
                       const std::int32_t* num_selected, std::int64_t* rows,
                       std::uint32_t* run_begins, std::int32_t* num_runs) {
  if (problem.total_positions == 0) {
    if (thread_index() == 0) {
      run_begins[0] = 0;
      *num_runs = 0;
    }
    return;
  }
  const std::int64_t selected = *num_selected;
  const Key dead = static_cast<Key>(problem.total_rows);
  for (std::int64_t run = thread_index(); run < selected; run += num_threads()) {
    const Key key = sorted_keys[run_begins[run]];
    if (key != dead) rows[run] = static_cast<std::int64_t>(key);
    if (run + 1 < selected) continue;
    if (key == dead) {
      *num_runs = static_cast<std::int32_t>(run);
    } else {
      *num_runs = static_cast<std::int32_t>(selected);
      run_begins[selected] = static_cast<std::uint32_t>(problem.total_positions);
    }
  }
}

}  // namespace warpbag::kernels
