// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gradients that the caller gives back for the shards of its rank, and the optimizer step that they
// make.

#include <vector>

#include "io/checksum.hpp"
#include "sharding/joined_updates.hpp"
#include "sharding/shard_checks.hpp"
#include "warpbag/embedding_bag.hpp"

namespace warpbag::sharding {

class given_gradients {
 public:
  given_gradients(const layout& layout, const shard_memory& shards,
                  const collection::configured_tables& configured,
                  operations::device_access& access);

  /// Reads ids and counts of gradients ([shard]), so it waits. Throws invalid_argument, naming the
  /// shard and the value, for those that are not of the shard.
  void take(std::span<const sparse_gradient> gradients);

  /// What the ranks tell each other after take: of replicas, whose gradients must be the same on
  /// all ranks, to the bit ...
  std::uint64_t replica_hash() const { return replica_hash_; }
  /// ... and of each part of this rank, because all column pieces of a row step together.
  const std::vector<std::int64_t>& part_hashes() const { return part_hashes_; }
  /// Room for those of all ranks: [rank].
  std::vector<std::vector<std::int64_t>> room_for_hashes() const;
  /// hashes[rank]: of all ranks. Throws the same rank_mismatch on every rank.
  void check_pieces(std::span<const std::vector<std::int64_t>> hashes) const;

  /// Collective. Sums over rows. No table changes.
  void prepare(rank_calls& calls, joined_updates& joined, working_backend& backend);
  /// Steps the optimizers. Allocates nothing. Step states advance elsewhere: once a table, not once
  /// a shard.
  void apply(operations::backend& backend) const;

 private:
  void read_rows(std::size_t shard, const operations::gradient_record& gradient);
  void hash_replica(std::size_t shard, io::checksum& hash) const;

  const layout* layout_;
  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  shard_checks checks_;
  std::vector<operations::gradient_record> records_;  // [shard]; of frozen tables: form none
  std::vector<std::vector<std::int64_t>> ids_;        // [shard]
  std::vector<std::vector<std::int64_t>> rows_;       // [shard] where these ids are in it
  std::uint64_t replica_hash_ = 0;
  std::vector<std::int64_t> part_hashes_;
  working_memory memory_;
  collection::call_records call_;
};

}  // namespace warpbag::sharding
