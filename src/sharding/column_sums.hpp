// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums over whole rows whose columns are in several pieces (N4). The owners of a row's pieces have
// the same touched rows in the same order; the 32 lane sums of each row go from piece to piece, in
// column order, each adding its columns; the last piece tells all others.

#include <array>
#include <vector>

#include "operations/row_lanes.hpp"
#include "sharding/layout.hpp"
#include "sharding/rank_calls.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

inline constexpr int num_lane_arrays = 3;  // of shard_record::row_lanes

/// The touched rows of one of this rank's parts.
struct lane_part {
  std::size_t part = 0;  // of layout.parts_of(rank)
  std::int64_t num_rows = 0;
  std::array<float*, num_lane_arrays> lanes = {};
};

/// Whether the table's optimizer needs sums over whole rows (operations::has_lanes).
bool needs_row_sums(const optimizer_options& optimizer);

class column_sums {
 public:
  column_sums(const layout& layout, int rank, operations::device_access& access)
      : layout_(&layout), rank_(rank), memory_(access) {}

  /// Room for the lanes of these parts, all +0. Parts are in the order of layout.parts_of(rank).
  void place(std::vector<lane_part> parts, operations::backend& backend);
  const std::vector<lane_part>& parts() const { return parts_; }
  /// The lanes of part `part`; nullptr: it has none.
  const lane_part* lanes_of(std::size_t part) const;
  void set_num_rows(std::size_t index, std::int64_t rows) { parts_[index].num_rows = rows; }

  /// Collective, for the tables that `wanted` (the same on all ranks) has. add(piece):
  /// add_row_lanes on the parts of this rank that are piece number `piece` of their tables.
  /// `arrays`: which lanes are summed. Returns the bytes sent to other ranks.
  template <typename Add>
  std::int64_t sum(rank_calls& calls, const std::vector<bool>& wanted, std::span<const int> arrays,
                   Add add) {
    std::int64_t sent = 0;
    for (std::size_t piece = 0; piece < most_pieces(wanted); ++piece) {
      add(piece);
      sent += exchange(calls, wanted, arrays, piece);
    }
    return sent;
  }

 private:
  std::size_t most_pieces(const std::vector<bool>& wanted) const;
  std::int64_t exchange(rank_calls& calls, const std::vector<bool>& wanted,
                        std::span<const int> arrays, std::size_t from_piece);

  const layout* layout_;
  int rank_;
  working_memory memory_;
  std::vector<lane_part> parts_;
};

}  // namespace warpbag::sharding
