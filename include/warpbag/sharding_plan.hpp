// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which rank holds which part of which table: plain data, made by hand, by the planner
// (warpbag/planner.hpp) or from JSON.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/embedding_table.hpp"

namespace warpbag {

/// Every kind is a cut into columns, and of each column piece into rows by hash:
///   table_wise      1 piece of columns   1 rank
///   column_wise     C pieces             1 rank each
///   row_wise        1 piece              all or some ranks
///   table_row_wise  1 piece              the ranks of one node
///   grid            C pieces             the ranks of one node each
///   data_parallel   every rank holds the whole table
enum class sharding_kind : std::uint8_t {
  table_wise,
  row_wise,
  column_wise,
  data_parallel,
  table_row_wise,
  grid
};

/// How the pooled vectors of a table come together. rows: every distinct row comes once and is
/// pooled where the bag is: exact. partial_bags: each owner pools what it holds of a bag and the
/// partial sums are added in owner order: fewer bytes for bags of many lookups on few ranks, but
/// outputs that depend on the number of ranks. For row_wise and table_row_wise without replicated
/// rows, and features of mode sum and mean; runs only with collection_options::allow_inexact.
enum class row_exchange : std::uint8_t { rows, partial_bags };

struct table_plan {
  std::string table = {};
  sharding_kind kind = sharding_kind::row_wise;
  /// Piece by piece, ranks.size() / column_pieces ranks each. data_parallel: empty.
  std::vector<int> ranks = {};
  /// Columns are cut into this many pieces at multiples of 4, as evenly as that goes.
  int column_pieces = 1;
  /// Ids, ascending, of rows that every rank keeps a replica of (hot rows). Not for data_parallel.
  std::vector<std::int64_t> replicated_rows = {};
  row_exchange exchange = row_exchange::rows;

  friend bool operator==(const table_plan&, const table_plan&) = default;
};

struct sharding_plan {
  int num_ranks = 1;
  std::vector<table_plan> tables = {};  ///< one for each table, in any order

  friend bool operator==(const sharding_plan&, const sharding_plan&) = default;
};

WARPBAG_EXPORT std::string_view to_string(sharding_kind kind);
WARPBAG_EXPORT std::string_view to_string(row_exchange exchange);

// Plans of one table.
WARPBAG_EXPORT table_plan table_wise(std::string table, int rank);
WARPBAG_EXPORT table_plan row_wise(std::string table, int num_ranks);
WARPBAG_EXPORT table_plan column_wise(std::string table, std::vector<int> ranks);
WARPBAG_EXPORT table_plan data_parallel(std::string table);
/// The ranks [first_rank, first_rank + num_ranks) of a node.
WARPBAG_EXPORT table_plan table_row_wise(std::string table, int first_rank, int num_ranks);
/// A piece of columns for each node; node n is the ranks [n * ranks_per_node, ...).
WARPBAG_EXPORT table_plan grid(std::string table, std::vector<int> nodes, int ranks_per_node);

/// Throws invalid_argument, naming the table and the value, for a plan that no collection of these
/// tables can follow.
WARPBAG_EXPORT void validate(const sharding_plan& plan, std::span<const table_config> tables);

/// {"warpbag.plan": 1, "num_ranks": ..., "tables": [{"table": ..., "kind": ..., "ranks": [...],
/// "column_pieces": ..., "replicated_rows": [...], "exchange": ...}]}; the last three only where
/// they are not the default.
WARPBAG_EXPORT std::string to_json(const sharding_plan& plan);
/// Throws invalid_argument, naming the place, for text that is not such JSON; unknown keys too.
WARPBAG_EXPORT sharding_plan sharding_plan_from_json(std::string_view json);

/// First column of piece `piece`; of piece `pieces`: dim.
constexpr std::int64_t first_column_of(std::int64_t dim, int pieces, int piece) {
  const std::int64_t quads = (dim + 3) / 4;
  const std::int64_t column = quads * piece / pieces * 4;
  return column < dim ? column : dim;
}

}  // namespace warpbag
