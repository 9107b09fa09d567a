// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums over a row whose columns are with several owners (backend::add_row_lanes).

#include "numerics/optimizer_rules.hpp"
#include "operations/problem.hpp"

namespace warpbag::operations {

/// What is summed, and into which of shard_record::row_lanes. In a step they come in this order,
/// each after all columns of the one before.
enum class row_reduction : std::uint8_t {
  max_norm,     ///< terms of the norm of a row, into row_lanes[0]
  clip_norm,    ///< squares of gradient.values, into row_lanes[0]
  mean_square,  ///< squares of the clipped and decayed gradient, into row_lanes[1]
  trust_ratio   ///< lamb: squares of weights into row_lanes[1], of directions into row_lanes[2]
};

/// True when a step of the table needs the sums and the record has but a part of the columns.
WARPBAG_HOST_DEVICE bool has_lanes(const table_record& table, row_reduction which) {
  if (table.shard.row_lanes[0] == nullptr) return false;
  if (which == row_reduction::max_norm) return table.renormalize;
  if (table.gradient.form != gradient_form::sparse) return false;
  switch (which) {
    case row_reduction::clip_norm: return table.optimizer.clipping == clipping_kind::norm;
    case row_reduction::mean_square: return numerics::needs_mean_square(table.optimizer.kind);
    case row_reduction::trust_ratio: return table.optimizer.kind == optimizer_kind::lamb;
    case row_reduction::max_norm: break;
  }
  return false;
}

/// Bias corrections of the step that update_rows will make.
WARPBAG_HOST_DEVICE numerics::step_factors next_step_factors(const table_record& table) {
  step_state next = *table.step;
  numerics::advance(next, table.optimizer);
  return numerics::make_step_factors(next);
}

}  // namespace warpbag::operations
