// SPDX-License-Identifier: Apache-2.0
#pragma once
// Checks of the gradients that a caller gives or wants for the shards of its rank.

#include <vector>

#include "collection/overlap.hpp"
#include "sharding/shard_memory.hpp"

namespace warpbag::sharding {

class shard_checks {
 public:
  shard_checks(const shard_memory& shards, const collection::configured_tables& configured);

  /// The shard as messages call it.
  collection::subject name(std::size_t shard) const { return names_.table(num_tables_ + shard); }
  /// Refuses another number of gradients than there are shards.
  void check_count(std::size_t gradients) const;
  /// Refuses gradients ([shard]) whose memory the call uses otherwise. `batch`: what it reads and
  /// writes of a batch, with tables without memory; may have no features.
  void check_overlaps(std::span<const operations::gradient_record> gradients,
                      const collection::call_records& batch, collection::call_phase phase) const;

 private:
  const shard_memory* shards_;
  std::size_t num_tables_;
  collection::call_names names_;  // tables, then shards
};

}  // namespace warpbag::sharding
