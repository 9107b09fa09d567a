// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "warpbag/sharding_plan.hpp"

namespace warpbag {

std::string_view to_string(sharding_kind kind) {
  switch (kind) {
    case sharding_kind::table_wise: return "table_wise";
    case sharding_kind::row_wise: return "row_wise";
    case sharding_kind::column_wise: return "column_wise";
    case sharding_kind::data_parallel: return "data_parallel";
    case sharding_kind::table_row_wise: return "table_row_wise";
    case sharding_kind::grid: return "grid";
  }
  return "unknown";
}

std::string_view to_string(row_exchange exchange) {
  switch (exchange) {
    case row_exchange::rows: return "rows";
    case row_exchange::partial_bags: return "partial_bags";
  }
  return "unknown";
}

namespace {

void append_ranks(std::vector<int>& ranks, int first, int count) {
  for (int i = 0; i < count; ++i) ranks.push_back(first + i);
}

}  // namespace

table_plan table_wise(std::string table, int rank) {
  return {.table = std::move(table), .kind = sharding_kind::table_wise, .ranks = {rank}};
}

table_plan row_wise(std::string table, int num_ranks) {
  table_plan plan = {.table = std::move(table), .kind = sharding_kind::row_wise};
  append_ranks(plan.ranks, 0, num_ranks);
  return plan;
}

table_plan column_wise(std::string table, std::vector<int> ranks) {
  const int pieces = static_cast<int>(ranks.size());
  return {.table = std::move(table),
          .kind = sharding_kind::column_wise,
          .ranks = std::move(ranks),
          .column_pieces = pieces};
}

table_plan data_parallel(std::string table) {
  return {.table = std::move(table), .kind = sharding_kind::data_parallel};
}

table_plan table_row_wise(std::string table, int first_rank, int num_ranks) {
  table_plan plan = {.table = std::move(table), .kind = sharding_kind::table_row_wise};
  append_ranks(plan.ranks, first_rank, num_ranks);
  return plan;
}

table_plan grid(std::string table, std::vector<int> nodes, int ranks_per_node) {
  table_plan plan = {.table = std::move(table),
                     .kind = sharding_kind::grid,
                     .column_pieces = static_cast<int>(nodes.size())};
  for (const int node : nodes) append_ranks(plan.ranks, node * ranks_per_node, ranks_per_node);
  return plan;
}

}  // namespace warpbag
