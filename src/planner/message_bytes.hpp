// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a message of a sharded step costs, piece by piece. Counted and predicted traffic are both
// sums of these.

#include <cstdint>

#include "numerics/lane_reduction.hpp"
#include "numerics/optimizer_rules.hpp"
#include "warpbag/embedding_table.hpp"
#include "warpbag/planner.hpp"

namespace warpbag::sharding {

inline constexpr std::int64_t id_bytes = 8;
inline constexpr std::int64_t count_bytes = 8;      // lookups of a bag
inline constexpr std::int64_t weight_bytes = 4;     // per_sample_weight of a lookup
inline constexpr std::int64_t scale_bytes = 4;      // of a bag in a mean
inline constexpr std::int64_t sum_bytes = 4;        // an element of a partial sum, fp32
inline constexpr std::int64_t winner_bytes = 4;     // of an element under max
inline constexpr std::int64_t frequency_bytes = 4;  // occurrences behind a partial sum

inline constexpr std::int64_t lanes_bytes = 4 * numerics::num_lanes;  // sums of a row in pieces

constexpr std::int64_t bytes_of(dtype type) { return static_cast<std::int64_t>(size_of(type)); }
constexpr std::int64_t bytes_of(index_type type) {
  return static_cast<std::int64_t>(size_of(type));
}

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
  return bytes_of(feature.ids_type) + (feature.weighted ? weight_bytes : 0) +
         (feature.mode == pooling_mode::none ? table.embedding_dim * bytes_of(feature.gradient_type)
                                             : 0);
}

/// row_exchange::partial_bags, for every owner that holds a row of a bag: the bag's part goes to
/// it, its sum comes back, and backward its gradient goes there, from where gradients of weights
/// may come back.
constexpr std::int64_t bag_part_bytes(const feature_statistics& feature) {
  return count_bytes + (feature.mode == pooling_mode::mean ? scale_bytes : 0);
}
constexpr std::int64_t bag_lookup_bytes(const feature_statistics& feature) {
  return id_bytes + (feature.weighted ? weight_bytes : 0);
}
constexpr std::int64_t bag_sum_bytes(std::int64_t columns) { return columns * sum_bytes; }
constexpr std::int64_t bag_gradient_bytes(const feature_statistics& feature, std::int64_t columns) {
  return columns * bytes_of(feature.gradient_type);
}
constexpr std::int64_t bag_weight_gradient_bytes(const feature_statistics& feature) {
  return feature.weight_gradients ? weight_bytes : 0;
}

/// Whether backward makes anything of the table.
inline bool trains(const table_config& table) { return !table.freeze; }

/// Sums over whole rows of a table whose columns are in pieces (sharding/column_sums.hpp): how many
/// arrays of lanes an owner of a piece passes on for each row that is asked for or touched.
inline std::int64_t forward_lanes(const table_config& table) { return table.max_norm ? 1 : 0; }
inline std::int64_t backward_lanes(const table_config& table) {
  if (!trains(table)) return 0;
  const optimizer_options& optimizer = table.optimizer;
  return (optimizer.clipping == clipping_kind::norm ? 1 : 0) +
         (numerics::needs_mean_square(optimizer.kind) ? 1 : 0) +
         (optimizer.kind == optimizer_kind::lamb ? 2 : 0);
}
/// body(from, to) for each time that lanes go from one piece to another.
template <typename Body>
void for_each_lane_message(int num_pieces, Body body) {
  const int last = num_pieces - 1;
  for (int piece = 0; piece < last; ++piece) {
    body(piece, piece + 1);
    body(last, piece);
  }
}

}  // namespace warpbag::sharding
