// SPDX-License-Identifier: Apache-2.0
#include "planner/step_model.hpp"

#include <algorithm>
#include <cmath>

#include "numerics/row_routing.hpp"
#include "planner/load_sum.hpp"
#include "planner/message_bytes.hpp"

namespace warpbag::sharding {

namespace {

slice_owners even_slices(int num_ranks, std::int64_t batch) {
  return assign_slices(std::vector<std::int64_t>(static_cast<std::size_t>(num_ranks), batch));
}

/// A column piece and the part of the rows that each rank of its group owns.
struct owned_piece {
  std::int64_t columns = 0;
  std::span<const int> ranks = {};
  std::vector<double> shares = {};  // of the rows
};

std::vector<owned_piece> pieces_of(const table_config& table, const table_plan& plan) {
  std::vector<owned_piece> pieces;
  if (plan.kind == sharding_kind::data_parallel) return pieces;
  const std::size_t size = plan.ranks.size() / static_cast<std::size_t>(plan.column_pieces);
  std::vector<double> shares;
  // Sizes of parts do not depend on the table's key.
  const numerics::row_routing routing = numerics::make_row_routing(table.num_embeddings, 0);
  const auto owners = static_cast<std::int32_t>(size);
  for (std::int32_t owner = 0; owner < owners; ++owner) {
    shares.push_back(static_cast<double>(numerics::rows_of_owner(routing, owners, owner)) /
                     static_cast<double>(table.num_embeddings));
  }
  for (int piece = 0; piece < plan.column_pieces; ++piece) {
    pieces.push_back({first_column_of(table.embedding_dim, plan.column_pieces, piece + 1) -
                          first_column_of(table.embedding_dim, plan.column_pieces, piece),
                      std::span(plan.ranks).subspan(static_cast<std::size_t>(piece) * size, size),
                      shares});
  }
  return pieces;
}

/// Share of all lookups that each owner's rows get: hot rows are where they are.
std::vector<double> lookup_shares(const table_config& table, std::size_t number,
                                  const id_distribution& ids, const owned_piece& piece) {
  const numerics::row_routing routing =
      numerics::make_row_routing(table.num_embeddings, static_cast<std::uint32_t>(number));
  std::vector<double> shares(piece.shares.size());
  double rest = 1.0;
  for (const heavy_hitter& row : ids.heavy_hitters()) {
    const auto owners = static_cast<std::int32_t>(shares.size());
    shares[static_cast<std::size_t>(numerics::place_of(routing, owners, row.id).owner)] +=
        row.share;
    rest -= row.share;
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    shares[i] += std::max(rest, 0.0) * piece.shares[i];
  }
  return shares;
}

}  // namespace

double stored_row_bytes(const table_config& table, std::int64_t columns) {
  double bytes = static_cast<double>(columns * bytes_of(table.type));
  for (int index = 0; index < 2 && trains(table); ++index) {
    switch (optimizer_state_shape(table.optimizer, index)) {
      case state_shape::absent: break;
      case state_shape::per_row: bytes += static_cast<double>(sum_bytes); break;
      case state_shape::per_element: bytes += static_cast<double>(columns * sum_bytes); break;
    }
  }
  return bytes;
}

step_model::step_model(std::span<const table_config> tables,
                       std::span<const table_statistics> statistics, std::int64_t batch_per_rank,
                       const topology& machine, const header_costs& headers)
    : tables_(tables),
      statistics_(statistics),
      batch_(batch_per_rank),
      machine_(machine),
      ranks_per_node_(machine.ranks_per_node == 0 ? machine.num_ranks : machine.ranks_per_node),
      slices_(even_slices(machine.num_ranks, batch_per_rank)) {
  const auto ranks = static_cast<double>(num_ranks());
  fixed_bytes_ = static_cast<double>(
                     header_bytes(headers, num_ranks(), static_cast<std::int64_t>(tables.size()))) /
                 ranks;
  const double near = static_cast<double>(ranks_per_node_ - 1);
  const double far = static_cast<double>(num_ranks() - ranks_per_node_);
  const double bytes_each = ranks > 1 ? fixed_bytes_ / (ranks - 1) : 0.0;
  const auto exchanges = static_cast<double>(headers.exchanges);
  // A header is sent to each other rank and one received from it.
  fixed_seconds_ =
      near *
          (exchanges * machine.intra_node.latency + 2 * bytes_each / machine.intra_node.bandwidth) +
      far *
          (exchanges * machine.inter_node.latency + 2 * bytes_each / machine.inter_node.bandwidth);
}

table_load step_model::load(std::size_t table, const table_plan& plan,
                            const table_demand& wanted) const {
  load_sum sum(*this, table);
  const std::vector<owned_piece> pieces = pieces_of(tables_[table], plan);
  for (const owned_piece& piece : pieces) sum.add_piece(piece.ranks, piece.shares, piece.columns);
  if (plan.exchange == row_exchange::partial_bags) {
    for (const owned_piece& piece : pieces) {
      sum.add_bag_parts(piece.ranks,
                        lookup_shares(tables_[table], table, statistics_[table].ids, piece),
                        piece.columns);
    }
    return sum.finish();
  }
  if (!pieces.empty()) sum.add_rows(wanted);
  if (pieces.size() > 1) {
    std::vector<std::span<const int>> ranks;
    for (const owned_piece& piece : pieces) ranks.push_back(piece.ranks);
    sum.add_lanes(ranks, pieces.front().shares, wanted);
  }
  sum.add_replicas(plan, wanted);
  sum.add_moved_samples();
  return sum.finish();
}

}  // namespace warpbag::sharding
