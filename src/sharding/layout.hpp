// SPDX-License-Identifier: Apache-2.0
#pragma once
// A plan as the steps use it: every kind of sharding is pieces of columns, each cut into rows over
// the same number of owners, and rows that every rank has a replica of.

#include <cstdint>
#include <span>
#include <vector>

#include "numerics/row_routing.hpp"
#include "warpbag/collection.hpp"
#include "warpbag/sharding_plan.hpp"

namespace warpbag::sharding {

struct column_piece {
  std::int64_t first_column = 0;
  std::int64_t num_columns = 0;
  std::vector<int> ranks;  // [num_owners]
};

struct table_layout {
  numerics::row_routing routing;
  int num_owners = 0;  // of each piece; 0: data parallel
  std::vector<column_piece> pieces;
  std::vector<std::int64_t> replicated;  // ids, ascending; data parallel: empty, it is all of them

  bool partial_bags = false;  // owners pool their parts of bags

  bool is_data_parallel() const { return num_owners == 0; }
  bool has_replica() const { return is_data_parallel() || !replicated.empty(); }
  int num_destinations() const { return num_owners + 1; }
};

/// What one rank owns of one piece of columns.
struct table_part {
  std::size_t table = 0;
  std::size_t piece = 0;
  int owner = 0;
};

class layout {
 public:
  /// Throws invalid_argument (validate of the plan).
  layout(const sharding_plan& plan, std::span<const table_config> tables);

  int num_ranks() const { return static_cast<int>(parts_.size()); }
  const std::vector<table_layout>& tables() const { return tables_; }
  /// Tables in order, pieces in order, owners in order.
  const std::vector<table_part>& parts_of(int rank) const {
    return parts_[static_cast<std::size_t>(rank)];
  }
  /// Tables with replicas and max_norm: every rank renormalises what any rank reads, so that the
  /// replicas stay equal, and hears of it from all.
  const std::vector<std::size_t>& renormalized_replicas() const { return renormalized_replicas_; }
  int rank_of(const table_part& part) const {
    const column_piece& piece = tables_[part.table].pieces[part.piece];
    return piece.ranks[static_cast<std::size_t>(part.owner)];
  }

 private:
  std::vector<table_layout> tables_;
  std::vector<std::vector<table_part>> parts_;  // [rank]
  std::vector<std::size_t> renormalized_replicas_;
};

/// Refuses row_exchange::partial_bags where options do not allow it, and for features that cannot
/// be pooled in parts. The plan is valid.
void check_exchange(const sharding_plan& plan, std::span<const feature_config> features,
                    const collection_options& options);

/// A number that ranks compare before they work together: of everything that must be the same on
/// all of them.
std::uint64_t schema_of(const sharding_plan& plan, std::span<const table_config> tables,
                        std::span<const feature_config> features,
                        const collection_options& options);

}  // namespace warpbag::sharding
