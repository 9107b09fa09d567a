// SPDX-License-Identifier: Apache-2.0
#pragma once
// Finding one's way in the records of a problem: which feature, table, bag, and what an id does.

#include "kernels/common/device_problem.cuh"

namespace warpbag::kernels {

/// bag_of_position of a position beyond the last offset.
inline constexpr std::uint32_t no_bag = 0xFFFFFFFFU;

/// Last index i in [0, count) with at_most(i), which must hold up to some index and not after it;
/// 0 if it holds nowhere.
template <typename Predicate>
__device__ __forceinline__ std::int64_t last_index(std::int64_t count, Predicate at_most) {
  std::int64_t low = 0;
  while (count > 1) {
    const std::int64_t half = count / 2;
    if (at_most(low + half)) low += half;
    count -= half;
  }
  return low;
}

/// Feature of a position in [0, total_positions). Features without ids have no position.
__device__ __forceinline__ std::int32_t feature_of_position(const device_problem& problem,
                                                            std::int64_t position) {
  return static_cast<std::int32_t>(last_index(problem.num_features, [&](std::int64_t f) {
    return problem.features[f].first_position <= position;
  }));
}

/// Feature of a global bag in [0, total_bags).
__device__ __forceinline__ std::int32_t feature_of_bag(const device_problem& problem,
                                                       std::int64_t bag) {
  return static_cast<std::int32_t>(last_index(
      problem.num_features, [&](std::int64_t f) { return problem.features[f].first_bag <= bag; }));
}

/// Table of a global row in [0, total_rows).
__device__ __forceinline__ std::int32_t table_of_row(const device_problem& problem,
                                                     std::int64_t row) {
  return static_cast<std::int32_t>(last_index(
      problem.num_tables, [&](std::int64_t t) { return problem.tables[t].first_row <= row; }));
}

/// First run whose row is not below global row `row`.
__device__ __forceinline__ std::int64_t first_run_of(const device_occurrences& occurrences,
                                                     std::int64_t row) {
  std::int64_t low = 0;
  std::int64_t high = *occurrences.num_runs;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (occurrences.rows[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <typename Index>
__device__ __forceinline__ std::int64_t load_index(const void* indices, std::int64_t i) {
  return static_cast<std::int64_t>(static_cast<const Index*>(indices)[i]);
}

struct bag_range {
  std::int64_t begin;  // within the feature's ids
  std::int64_t end;
};

/// Bag `bag` of a feature whose offsets are good.
template <typename Index>
__device__ __forceinline__ bag_range range_of_bag(const feature_record& feature, std::int64_t bag) {
  if (feature.offsets == nullptr) {
    return {bag * feature.hotness, (bag + 1) * feature.hotness};
  }
  const bool has_end = bag + 1 < feature.num_bags || feature.has_last_offset;
  return {load_index<Index>(feature.offsets, bag),
          has_end ? load_index<Index>(feature.offsets, bag + 1) : feature.num_ids};
}

/// Positions of a feature from here on belong to no bag.
template <typename Index>
__device__ __forceinline__ std::int64_t end_of_bags(const feature_record& feature) {
  return feature.offsets != nullptr && feature.has_last_offset
             ? load_index<Index>(feature.offsets, feature.num_bags)
             : feature.num_ids;
}

/// Bag of position `position` of a feature (both counted within the feature): one load, after
/// check_inputs. Positions are below 2^32, so 32-bit division does.
__device__ __forceinline__ std::uint32_t bag_within_feature(const device_problem& problem,
                                                            const feature_record& feature,
                                                            std::uint32_t position) {
  if (feature.offsets == nullptr) return position / static_cast<std::uint32_t>(feature.hotness);
  return problem.bag_of_position[feature.first_position + position] -
         static_cast<std::uint32_t>(feature.first_bag);
}

__device__ __forceinline__ bool in_range(const table_record& table, std::int64_t id) {
  return static_cast<std::uint64_t>(id) < static_cast<std::uint64_t>(table.num_rows);
}

/// True for an id that reads a row which takes part in a bag and is trained: an occurrence.
__device__ __forceinline__ bool is_occurrence(const table_record& table, std::int64_t id) {
  return in_range(table, id) && id != table.padding_idx;
}

}  // namespace warpbag::kernels
