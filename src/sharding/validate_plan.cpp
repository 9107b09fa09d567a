// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <string>

#include "collection/refuse.hpp"
#include "numerics/row_routing.hpp"
#include "warpbag/sharding_plan.hpp"

namespace warpbag {

namespace {

using collection::refuse;

std::string name_of(const table_plan& plan) { return "plan of table '" + plan.table + "'"; }

std::size_t group_size(const table_plan& plan) {
  return plan.ranks.size() / static_cast<std::size_t>(plan.column_pieces);
}

void check_pieces(const table_plan& plan, const table_config& table) {
  const std::int64_t most = (table.embedding_dim + 3) / 4;
  if (plan.column_pieces < 1 || plan.column_pieces > most) {
    refuse(name_of(plan), ": column_pieces is ", plan.column_pieces, ", not in 1..", most,
           " (embedding_dim ", table.embedding_dim, " in pieces of at least 4 columns)");
  }
  if (plan.ranks.size() % static_cast<std::size_t>(plan.column_pieces) != 0) {
    refuse(name_of(plan), ": ", plan.ranks.size(), " ranks cannot be shared evenly by ",
           plan.column_pieces, " column pieces");
  }
}

/// The shape that sharding_kind promises.
void check_kind(const table_plan& plan) {
  const bool cut_columns =
      plan.kind == sharding_kind::column_wise || plan.kind == sharding_kind::grid;
  if (!cut_columns && plan.column_pieces != 1) {
    refuse(name_of(plan), ": ", to_string(plan.kind), " has 1 column piece, not ",
           plan.column_pieces);
  }
  if (plan.kind == sharding_kind::data_parallel) {
    if (!plan.ranks.empty()) {
      refuse(name_of(plan), ": data_parallel is on every rank and names none, not ",
             plan.ranks.size());
    }
    return;
  }
  if (plan.ranks.empty()) refuse(name_of(plan), ": no ranks");
  const bool one_each =
      plan.kind == sharding_kind::table_wise || plan.kind == sharding_kind::column_wise;
  if (one_each && group_size(plan) != 1) {
    refuse(name_of(plan), ": ", to_string(plan.kind), " has 1 rank for each column piece, not ",
           group_size(plan));
  }
}

void check_ranks(const table_plan& plan, int num_ranks) {
  for (const int rank : plan.ranks) {
    if (rank < 0 || rank >= num_ranks) {
      refuse(name_of(plan), ": rank ", rank, " is not in 0..", num_ranks - 1);
    }
  }
  const auto size = static_cast<std::ptrdiff_t>(group_size(plan));
  std::vector<int> group;
  for (int piece = 0; piece < plan.column_pieces; ++piece) {
    const auto first = plan.ranks.begin() + piece * size;
    group.assign(first, first + size);
    std::sort(group.begin(), group.end());
    const auto twice = std::adjacent_find(group.begin(), group.end());
    if (twice != group.end()) {
      refuse(name_of(plan), ": rank ", *twice, " is twice in column piece ", piece);
    }
  }
}

void check_replicas(const table_plan& plan, const table_config& table) {
  if (plan.replicated_rows.empty()) return;
  if (plan.kind == sharding_kind::data_parallel) {
    refuse(name_of(plan), ": replicated_rows of a data_parallel table, which is all replicas");
  }
  std::int64_t last = -1;
  for (const std::int64_t row : plan.replicated_rows) {
    if (row < 0 || row >= table.num_embeddings) {
      refuse(name_of(plan), ": replicated row ", row, " is not in 0..", table.num_embeddings - 1);
    }
    if (row <= last) {
      refuse(name_of(plan), ": replicated row ", row, " comes after ", last, "; they must ascend");
    }
    last = row;
  }
}

void check_exchange(const table_plan& plan) {
  if (plan.exchange > row_exchange::partial_bags) {
    refuse(name_of(plan), ": exchange ", static_cast<int>(plan.exchange), " is none");
  }
  if (plan.exchange != row_exchange::partial_bags) return;
  if (plan.kind != sharding_kind::row_wise && plan.kind != sharding_kind::table_row_wise) {
    refuse(name_of(plan), ": partial_bags is for row_wise and table_row_wise, not ",
           to_string(plan.kind));
  }
  if (!plan.replicated_rows.empty()) {
    refuse(name_of(plan), ": partial_bags has no use for replicated_rows, of which there are ",
           plan.replicated_rows.size());
  }
}

void check_table(const table_plan& plan, const table_config& table, int num_ranks) {
  if (plan.kind > sharding_kind::grid) {
    refuse(name_of(plan), ": kind ", static_cast<int>(plan.kind), " is none");
  }
  if (table.num_embeddings > numerics::max_routed_rows) {
    refuse(name_of(plan), ": ", table.num_embeddings, " rows are more than ",
           numerics::max_routed_rows);
  }
  check_pieces(plan, table);
  check_kind(plan);
  check_ranks(plan, num_ranks);
  check_replicas(plan, table);
  check_exchange(plan);
}

}  // namespace

void validate(const sharding_plan& plan, std::span<const table_config> tables) {
  if (plan.num_ranks < 1 || plan.num_ranks > numerics::num_buckets) {
    refuse("plan: num_ranks is ", plan.num_ranks, ", not in 1..", numerics::num_buckets);
  }
  std::map<std::string_view, const table_config*> unplanned;
  for (const table_config& table : tables) unplanned.emplace(table.name, &table);
  for (const table_plan& part : plan.tables) {
    const auto found = unplanned.find(part.table);
    if (found == unplanned.end()) refuse(name_of(part), ": no such table");
    if (found->second == nullptr) refuse(name_of(part), ": it stands there twice");
    check_table(part, *found->second, plan.num_ranks);
    found->second = nullptr;
  }
  for (const auto& [name, table] : unplanned) {
    if (table != nullptr) refuse("plan: table '", name, "' has no part");
  }
}

}  // namespace warpbag
