// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gradients for the caller: what has arrived of each shard of this rank, finished, in its memory.

#include <vector>

#include "collection/validate.hpp"
#include "sharding/gradient_exchange.hpp"
#include "sharding/joined_updates.hpp"
#include "sharding/routed_batch.hpp"
#include "sharding/shard_checks.hpp"

namespace warpbag::sharding {

/// What ranks call a backward with this target.
rank_operation operation_of(const collection::gradient_target& target);

class wanted_gradients {
 public:
  wanted_gradients(const shard_memory& shards, const collection::configured_tables& configured,
                   operations::device_access& access);

  /// No more rows of a shard than these does the batch touch: those that its ranks read. Of
  /// replicas ranks do not tell each other what they read.
  std::int64_t capacity(std::size_t shard, const routed_batch& batch) const;

  /// Throws invalid_argument, naming the shard, for memory that does not fit. `call`: what backward
  /// reads and writes of the batch beside it.
  void take(const collection::gradient_target& target, const routed_batch& batch,
            const collection::call_records& call);

  /// Collective. Finishes sums that have arrived and are unpacked, and sums over rows.
  void prepare(rank_calls& calls, const gradient_exchange& arrived, joined_updates& joined,
               working_backend& backend);
  /// Writes the caller's memory.
  void give(const joined_updates& joined, operations::backend& backend) const;

 private:
  bool is_wanted(std::size_t shard) const {
    return records_[shard].form != operations::gradient_form::none;
  }
  void give_sparse(std::size_t shard, const host_gradient& gradient) const;
  void give_dense(std::size_t shard, const host_gradient& gradient,
                  operations::backend& backend) const;

  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  shard_checks checks_;
  std::vector<operations::gradient_record> records_;  // [shard]; of frozen tables: form none
  collection::call_records call_;
};

}  // namespace warpbag::sharding
