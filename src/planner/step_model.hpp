// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a step of even batches is expected to cost each rank, table by table (warpbag/planner.hpp
// has the model). Costs of tables add up, so a plan's cost is the sum over its tables' plans and
// what every plan costs.

#include <span>
#include <vector>

#include "sharding/slice_owners.hpp"
#include "warpbag/planner.hpp"

namespace warpbag::sharding {

/// What one table adds to each rank.
struct table_load {
  std::vector<double> seconds = {};
  std::vector<double> memory_bytes = {};  // whole numbers; exact below 2^53
  std::vector<double> sent_bytes = {};
  std::vector<double> received_bytes = {};
  step_bytes bytes = {};
};

/// Expected counts of one table's rows when some of them, `replicated`, are on every rank.
struct table_demand {
  double fetched = 0.0;               ///< distinct rows of a rank's batch; not replicated ones
  std::vector<double> partials = {};  ///< partial sums of each rank; not of replicated rows
  double touched = 0.0;               ///< distinct rows of all batches; not replicated ones
  double replica_fetched = 0.0;       ///< distinct replicated rows of a rank's batch
  std::vector<double> replica_partials = {};
  double replica_touched = 0.0;
};

class step_model {
 public:
  /// All must outlive the model.
  step_model(std::span<const table_config> tables, std::span<const table_statistics> statistics,
             std::int64_t batch_per_rank, const topology& machine, const header_costs& headers);

  int num_ranks() const { return machine_.num_ranks; }
  int ranks_per_node() const { return ranks_per_node_; }
  int node_of(int rank) const { return rank / ranks_per_node_; }
  const topology& machine() const { return machine_; }
  std::span<const table_config> tables() const { return tables_; }
  std::span<const table_statistics> statistics() const { return statistics_; }

  /// Depends on the plan only by what is replicated: shared by many plans of a table.
  table_demand demand(std::size_t table, const table_plan& plan) const;
  table_load load(std::size_t table, const table_plan& plan, const table_demand& wanted) const;

  /// Of each rank, whatever the plan: headers and the latency of messages.
  double fixed_seconds() const { return fixed_seconds_; }
  double fixed_bytes() const { return fixed_bytes_; }  ///< sent by a rank; as many are received

 private:
  friend class load_sum;

  std::span<const table_config> tables_;
  std::span<const table_statistics> statistics_;
  std::int64_t batch_;
  const topology& machine_;
  int ranks_per_node_;
  slice_owners slices_;
  double fixed_seconds_ = 0.0;
  double fixed_bytes_ = 0.0;
};

/// Bytes of a row with its optimizer state, where `columns` of its columns are.
double stored_row_bytes(const table_config& table, std::int64_t columns);

}  // namespace warpbag::sharding
