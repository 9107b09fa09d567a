// SPDX-License-Identifier: Apache-2.0
#include "sharding/column_sums.hpp"

#include <algorithm>

#include "numerics/lane_reduction.hpp"

namespace warpbag::sharding {

bool needs_row_sums(const optimizer_options& optimizer) {
  return optimizer.clipping == clipping_kind::norm || numerics::needs_mean_square(optimizer.kind) ||
         optimizer.kind == optimizer_kind::lamb;
}

void column_sums::place(std::vector<lane_part> parts, operations::backend& backend) {
  parts_ = std::move(parts);
  std::int64_t lanes = 0;
  for (const lane_part& part : parts_) lanes += part.num_rows * numerics::num_lanes;
  float* next = memory_.get<float>(std::max<std::int64_t>(1, lanes * num_lane_arrays));
  backend.fill(next, lanes * num_lane_arrays, 0.0F);
  for (lane_part& part : parts_) {
    for (float*& array : part.lanes) {
      array = next;
      next += part.num_rows * numerics::num_lanes;
    }
  }
}

const lane_part* column_sums::lanes_of(std::size_t part) const {
  const auto found = std::find_if(parts_.begin(), parts_.end(),
                                  [part](const lane_part& lanes) { return lanes.part == part; });
  return found == parts_.end() ? nullptr : &*found;
}

/// The same on every rank: ranks without parts take part in the exchanges. 0: there is nothing to
/// sum.
std::size_t column_sums::most_pieces(const std::vector<bool>& wanted) const {
  std::size_t most = 0;
  for (std::size_t t = 0; t < layout_->tables().size(); ++t) {
    if (wanted[t]) most = std::max(most, layout_->tables()[t].pieces.size());
  }
  return most;
}

/// From piece `from` of each table to the next one or, from the last, to all others.
std::int64_t column_sums::exchange(rank_calls& calls, const std::vector<bool>& wanted,
                                   std::span<const int> arrays, std::size_t from) {
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  const auto& mine = layout_->parts_of(rank_);
  const auto goes_to = [&](std::size_t num_pieces, std::size_t to) {
    return from + 1 < num_pieces ? to == from + 1 : from + 1 == num_pieces && to != from;
  };
  // Pieces between two ranks pair up by table, receiving piece and owner, in this order.
  for (std::size_t to = 0; to < most_pieces(wanted); ++to) {
    for (const lane_part& lanes : parts_) {
      const table_part& part = mine[lanes.part];
      const auto& pieces = layout_->tables()[part.table].pieces;
      const std::int64_t bytes =
          lanes.num_rows * numerics::num_lanes * static_cast<std::int64_t>(sizeof(float));
      if (!wanted[part.table] || to >= pieces.size() || !goes_to(pieces.size(), to)) continue;
      const auto owner = static_cast<std::size_t>(part.owner);
      for (const int array : arrays) {
        float* const data = lanes.lanes[static_cast<std::size_t>(array)];
        if (part.piece == from) sends.push_back({pieces[to].ranks[owner], data, bytes});
        if (part.piece == to) receives.push_back({pieces[from].ranks[owner], data, bytes});
      }
    }
  }
  return calls.exchange(sends, receives);
}

}  // namespace warpbag::sharding
