// SPDX-License-Identifier: Apache-2.0
#pragma once
// Optimizer steps of tables whose columns are in pieces and whose optimizer needs sums over whole
// rows (clipping by norm, row-wise states, lamb): the gradients are finished first, then summed
// over the pieces, and only then do rows change.

#include <vector>

#include "sharding/column_sums.hpp"
#include "sharding/gradient_exchange.hpp"

namespace warpbag::sharding {

class joined_updates {
 public:
  joined_updates(const layout& layout, int rank, const shard_memory& shards,
                 const collection::configured_tables& configured,
                 operations::device_access& access);

  bool has(std::size_t shard) const { return joined_[shard]; }

  /// Collective. Finishes the gradients that have arrived, and sums over rows. No table changes.
  void prepare(rank_calls& calls, const gradient_exchange& arrived, working_backend& backend);
  /// Steps the optimizers. Allocates nothing. Step states advance elsewhere: once a table, not once
  /// a shard.
  void update(operations::backend& backend);

 private:
  void place(const gradient_exchange& arrived, working_backend& backend);
  template <typename Needs>
  void sum(rank_calls& calls, operations::row_reduction which, std::span<const int> arrays,
           operations::backend& backend, Needs needs);

  const layout* layout_;
  int rank_;
  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  bool any_ = false;                 // on any rank
  std::vector<bool> joined_;         // [shard]
  std::vector<bool> joined_tables_;  // [table]
  std::vector<std::size_t> joined_parts_;
  collection::call_records call_;
  column_sums sums_;
  working_memory gradients_;
};

}  // namespace warpbag::sharding
