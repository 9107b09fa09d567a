// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ways to hold a table that the planner considers, before it is known on which ranks.

#include <string>
#include <vector>

#include "planner/step_model.hpp"

namespace warpbag::sharding {

struct shape {
  sharding_kind kind = sharding_kind::table_wise;
  /// How many ranks (table_row_wise, grid: nodes) it is put on. data_parallel: 0.
  int num_places = 1;
  std::size_t num_replicated = 0;  ///< hottest rows on every rank
  row_exchange exchange = row_exchange::rows;

  friend bool operator==(const shape&, const shape&) = default;
};

/// Whether the places of a shape are nodes, and not ranks.
bool is_on_nodes(const shape& form);

/// The simplest first: of equal costs the first is chosen.
std::vector<shape> shapes_of(const step_model& model, std::size_t table, bool allow_inexact);

/// The plan of a table that has this shape at these places, ascending.
table_plan plan_of(const step_model& model, std::size_t table, const shape& form,
                   const std::vector<int>& places);

/// "row_wise over 6 ranks with the 64 hottest rows on every rank".
std::string to_string(const shape& form);

}  // namespace warpbag::sharding
