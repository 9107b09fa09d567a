// SPDX-License-Identifier: Apache-2.0
#pragma once
// The bytes that a sharded step sends from rank to rank, counted from its ids. A rank's messages to
// itself cost nothing. For rank A, table t, and column piece c, whose rows are split over a group
// of ranks:
//   forward   A sends the id of every distinct row of its batch (not padding, not bad, not
//             replicated) to the row's owner, which answers with the row's columns. Ids of
//             replicated rows go to every rank where the table has max_norm.
//   backward  A sends a partial sum for every row and feature and every subtree (slice_owners.hpp)
//             of A's that reads the row: to the row's owner, or where every rank holds the row to
//             every other rank.
//             Bags in slices that another rank sums go to that rank with their gradients.
// Frozen tables have no backward. Where a table has several column pieces and its max_norm or its
// optimizer sums over whole rows, the owners of a row's pieces pass lanes of these sums on. Under
// row_exchange::partial_bags a bag goes to every rank that owns a row of it, which sends its sum
// and later gets its gradient (and sends those of weights where wanted). message_bytes.hpp has the
// size of each of these. On top come three agreements (transport/agreement.hpp): before rows are
// asked for, before bags move, and before sums move.

#include <cstdint>
#include <span>
#include <vector>

#include "warpbag/planner.hpp"

namespace warpbag::sharding {

/// Bags of one feature in one rank's batch; bag b has ids[offsets[b]] to ids[offsets[b + 1] - 1].
struct host_bags {
  std::vector<std::int64_t> ids = {};
  std::vector<std::int64_t> offsets = {0};

  std::int64_t num_bags() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// [table][feature of the table, as in table_statistics].
using rank_batch = std::vector<std::vector<host_bags>>;

/// Bytes by [from * num_ranks + to].
struct link_bytes {
  explicit link_bytes(int ranks)
      : num_ranks(ranks),
        forward(static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks)),
        backward(forward.size()),
        agreements(forward.size()) {}

  std::size_t index(int from, int to) const {
    return static_cast<std::size_t>(from) * static_cast<std::size_t>(num_ranks) +
           static_cast<std::size_t>(to);
  }

  int num_ranks;
  std::vector<std::int64_t> forward;
  std::vector<std::int64_t> backward;
  std::vector<std::int64_t> agreements;  ///< but for lookups of moved bags, which are in backward
};

/// `features`: [table][feature]. `batches`: of each rank. The plan must be valid.
link_bytes count_traffic(const sharding_plan& plan, std::span<const table_config> tables,
                         std::span<const std::vector<feature_statistics>> features,
                         std::span<const rank_batch> batches);

}  // namespace warpbag::sharding
