// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tables whose columns are in pieces and whose gradients or optimizer steps need sums over whole
// rows (clipping by norm, row-wise states, lamb): the gradients are finished first, then summed
// over the pieces, and only then do they change anything.

#include <vector>

#include "sharding/column_sums.hpp"
#include "sharding/gradient_exchange.hpp"

namespace warpbag::sharding {

/// Gradients of some rows of a shard, on the host.
struct host_gradient {
  std::vector<std::int64_t> rows;  // of the shard, ascending
  std::vector<float> values;       // [rows, columns]
};

class joined_updates {
 public:
  joined_updates(const layout& layout, int rank, const shard_memory& shards,
                 const collection::configured_tables& configured,
                 operations::device_access& access);

  /// Whether the shard's optimizer step is made here.
  bool has(std::size_t shard) const { return joined_[shard]; }
  /// Whether its finished gradient needs sums over whole rows, too.
  bool clips(std::size_t shard) const;

  // ---- a step from sums that have arrived ----
  /// Collective. Finishes the gradients that have arrived, and sums over rows. No table changes.
  /// Returns the bytes sent to other ranks.
  std::int64_t prepare(rank_calls& calls, const gradient_exchange& arrived,
                       working_backend& backend);
  /// Steps the optimizers. Allocates nothing. Step states advance elsewhere: once a table, not once
  /// a shard.
  void update(operations::backend& backend);

  // ---- a step from gradients that a caller gives ----
  /// Collective. Sums over rows for update_rows of `call`: one table a shard, whose gradients are
  /// sparse, finished, and of capacity rows.
  void prepare_given(rank_calls& calls, collection::call_records& call, working_backend& backend);

  // ---- gradients for a caller ----
  /// Collective. Finishes the gradients of shards that are clipped by the norm of whole rows.
  void prepare_clipped(rank_calls& calls, const gradient_exchange& arrived,
                       working_backend& backend);
  /// The gradient of such a shard. It is clipped on the host, because no operation of a device
  /// clips without stepping: this waits.
  host_gradient clipped(std::size_t shard) const;

 private:
  void place(const gradient_exchange& arrived, working_backend& backend,
             const std::vector<std::size_t>& parts);
  void set_lanes(collection::call_records& call) const;
  /// Finishes the gradients of call_ and takes the number of their rows over.
  void finish(operations::backend& backend);
  // Collective; they return the bytes sent to other ranks.
  std::int64_t sum_clip_norms(rank_calls& calls, const collection::call_records& call,
                              operations::backend& backend);
  std::int64_t sum_for_update(rank_calls& calls, const collection::call_records& call,
                              operations::backend& backend);
  template <typename Needs>
  std::int64_t sum(rank_calls& calls, const collection::call_records& call,
                   operations::row_reduction which, std::span<const int> arrays,
                   operations::backend& backend, Needs needs);

  const layout* layout_;
  int rank_;
  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  bool any_ = false;                        // on any rank
  std::vector<bool> joined_;                // [shard]
  std::vector<bool> joined_tables_;         // [table]
  std::vector<std::size_t> joined_parts_;   // of this rank
  std::vector<std::size_t> clipped_parts_;  // those of them that are clipped by norm
  collection::call_records call_;
  column_sums sums_;  // its parts are those of the call at hand
  working_memory gradients_;
};

}  // namespace warpbag::sharding
