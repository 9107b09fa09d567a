// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a message of a sharded step costs, piece by piece. Counted and predicted traffic are both
// sums of these.

#include <cstdint>

#include "warpbag/embedding_table.hpp"
#include "warpbag/planner.hpp"

namespace warpbag::sharding {

inline constexpr std::int64_t id_bytes = 8;
inline constexpr std::int64_t count_bytes = 8;      // lookups of a bag
inline constexpr std::int64_t weight_bytes = 4;     // per_sample_weight of a lookup
inline constexpr std::int64_t sum_bytes = 4;        // an element of a partial sum, fp32
inline constexpr std::int64_t winner_bytes = 4;     // of an element under max
inline constexpr std::int64_t frequency_bytes = 4;  // occurrences behind a partial sum

constexpr std::int64_t bytes_of(dtype type) { return static_cast<std::int64_t>(size_of(type)); }

/// Forward: a requested row's id, and `columns` of the row as the answer.
constexpr std::int64_t request_bytes() { return id_bytes; }
constexpr std::int64_t answer_bytes(const table_config& table, std::int64_t columns) {
  return columns * bytes_of(table.type);
}

/// Backward: the partial sum of a row over a subtree: row and slice in one word, and the sum.
constexpr std::int64_t partial_bytes(const table_config& table, std::int64_t columns) {
  return id_bytes + (table.scale_grad_by_freq ? frequency_bytes : 0) + columns * sum_bytes;
}

/// Backward: a bag (a bag's lookup) in a slice that another rank sums.
constexpr std::int64_t moved_bag_bytes(const table_config& table,
                                       const feature_statistics& feature) {
  if (feature.mode == pooling_mode::none) return count_bytes;
  return count_bytes + table.embedding_dim * bytes_of(feature.gradient_type) +
         (feature.mode == pooling_mode::max ? table.embedding_dim * winner_bytes : 0);
}
constexpr std::int64_t moved_lookup_bytes(const table_config& table,
                                          const feature_statistics& feature) {
  return id_bytes + (feature.weighted ? weight_bytes : 0) +
         (feature.mode == pooling_mode::none ? table.embedding_dim * bytes_of(feature.gradient_type)
                                             : 0);
}

/// row_exchange::partial_bags, for every owner that holds a row of a bag: the bag's part goes to
/// it, its sum comes back, and backward its gradient goes there.
constexpr std::int64_t bag_part_bytes() { return count_bytes; }
constexpr std::int64_t bag_lookup_bytes(const feature_statistics& feature) {
  return id_bytes + (feature.weighted ? weight_bytes : 0);
}
constexpr std::int64_t bag_sum_bytes(std::int64_t columns) { return columns * sum_bytes; }
constexpr std::int64_t bag_gradient_bytes(const feature_statistics& feature, std::int64_t columns) {
  return columns * bytes_of(feature.gradient_type);
}

/// Whether backward makes anything of the table.
inline bool trains(const table_config& table) { return !table.freeze; }

}  // namespace warpbag::sharding
