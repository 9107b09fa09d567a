// SPDX-License-Identifier: Apache-2.0
#pragma once
// Adds up what one table costs each rank under a plan. Every message is between a rank that reads
// rows (or makes partial sums) and a rank that owns them, and its expected size is a product: so
// much for the reader times so much for the owner. So all ranks' bytes come from sums over ranks
// and over nodes, in time proportional to the ranks and not to their pairs.

#include <span>
#include <utility>
#include <vector>

#include "planner/step_model.hpp"

namespace warpbag::sharding {

class load_sum {
 public:
  load_sum(const step_model& model, std::size_t table);

  /// A column piece whose rows are owned in these shares.
  void add_piece(std::span<const int> ranks, std::span<const double> shares, std::int64_t columns);
  /// row_exchange::rows of all pieces.
  void add_rows(const table_demand& demand);
  /// row_exchange::partial_bags of a column piece; `shares`: of the lookups.
  void add_bag_parts(std::span<const int> ranks, std::span<const double> shares,
                     std::int64_t columns);
  /// Sums over rows whose columns are in pieces: ranks_of_pieces[p] own piece p in these shares.
  void add_lanes(std::span<const std::span<const int>> ranks_of_pieces,
                 std::span<const double> shares, const table_demand& demand);
  /// What the plan has on every rank: rows in memory, and their partial sums to everybody.
  void add_replicas(const table_plan& plan, const table_demand& demand);
  /// Bags in slices that another rank sums.
  void add_moved_samples();

  table_load finish();

 private:
  enum class phase { forward, backward };
  enum class direction { to_owner, to_reader };

  /// Reader A and owner B exchange readers[A] * owners[B] bytes, for every A != B.
  void add_flow(std::span<const double> readers, std::span<const double> owners, phase when,
                direction way);
  void add_link_bytes(int from, int to, double bytes);
  void add_local_work();

  const step_model& model_;
  const table_config& table_;
  const table_statistics& statistics_;
  table_load load_;
  // Of each rank as an owner, for one row that is asked for: bytes of requests, of answers, of
  // partial sums, and in memory.
  std::vector<double> request_bytes_;
  std::vector<double> answer_bytes_;
  std::vector<double> partial_bytes_;
  std::vector<double> stored_bytes_;
  std::vector<double> near_bytes_;                    // to and from ranks of the node, by rank
  std::vector<double> far_bytes_;                     // to and from others
  std::vector<double> local_bytes_;                   // in memory
  std::vector<std::pair<double, double>> node_sums_;  // of a flow's readers and owners
};

}  // namespace warpbag::sharding
