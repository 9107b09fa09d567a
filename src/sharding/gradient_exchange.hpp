// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums of subtrees go to the owners of their rows (those of replicated rows to every rank), and the
// owners finish the trees and step their optimizers.

#include <array>
#include <vector>

#include "sharding/rank_calls.hpp"
#include "sharding/shard_memory.hpp"
#include "sharding/subtree_sums.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

/// The sums of a rank in the order of their slices: of the cut slice before its own whole ones, of
/// these, and of the one after.
inline constexpr std::size_t num_rounds = 3;
using rank_sums = std::array<const subtree_sums*, num_rounds>;

/// Bags whose gradients the owner of their rows sums itself (partial_bags.hpp): a feature of mode
/// sum on one of this rank's shards, with output gradients of fp32 and the scale of each lookup.
struct given_bags {
  std::size_t feature = 0;
  std::size_t shard = 0;
  operations::feature_record record;
};

class gradient_exchange {
 public:
  gradient_exchange(const layout& layout, shard_memory& shards,
                    const collection::configured_tables& configured,
                    std::span<const std::size_t> table_of_feature,
                    operations::device_access& access);

  /// Whether the table is trained by sums of subtrees: the same on all ranks.
  bool exchanges_sums(std::size_t table) const;
  /// What has arrived with bags, before exchange. Its memory must live as long as what has arrived
  /// is used.
  void take(std::span<const given_bags> bags);

  /// What `to` is told of the number of sums that it will get.
  std::vector<std::int64_t> announce(const rank_sums& sums, int to) const;
  std::int64_t announced_size(int rank) const;

  /// Collective. Only memory of this object changes. Returns the bytes sent to other ranks.
  std::int64_t exchange(rank_calls& calls, const rank_sums& sums,
                        std::span<const std::vector<std::int64_t>> announced);

  /// What has arrived as a call on the shards for which wanted(shard) holds; target(shard) says
  /// where each gradient goes. The other shards' records are there too, with gradient form none.
  template <typename Wanted, typename Target>
  void make_call(Wanted wanted, Target target, collection::call_records& call) const {
    call.tables.clear();
    for (std::size_t s = 0; s < shards_->shards().size(); ++s) {
      call.tables.push_back(shards_->shards()[s].record);
      if (wanted(s)) call.tables.back().gradient = target(s);
    }
    list_arrived(call);
  }
  /// Sums that have arrived for a shard: no more rows than these are touched.
  std::int64_t num_arrived(std::size_t shard) const;
  /// Before calls are run.
  void unpack(operations::backend& backend) const;
  /// After unpack: of the shards for which wanted(shard) holds, rows are from now on the table's
  /// ids and no longer the shard's rows. Goes over the host, and so waits.
  template <typename Wanted>
  void number_by_id(Wanted wanted) const {
    for (const arriving_sums& sums : arriving_) {
      if (wanted(sums.shard)) number_by_id(sums);
    }
  }
  /// Finishes the trees of a call that `backend` has room for, and gives the gradients to their
  /// targets. Allocates nothing.
  static void finish(const collection::call_records& call, operations::backend& backend);

 private:
  /// The sums of one feature for one shard of this rank, rank after rank, round after round; or the
  /// lookups of bags that were given.
  struct arriving_sums {
    std::size_t shard = 0;
    std::size_t feature = 0;
    bool in_bags = false;
    operations::feature_record bags = {};  // where in_bags
    std::vector<std::int64_t> counts;      // [rank * num_rounds + round]
    std::int64_t total = 0;
    std::int64_t* packed = nullptr;
    std::uint32_t* occurrences = nullptr;  // nullptr: the table does not count them
    float* values = nullptr;
    std::int64_t* rows = nullptr;
    operations::partial_record* partials = nullptr;
  };
  /// Where some of a feature's sums go: a part of its table, or the replica of a rank.
  struct target_part {
    std::size_t piece = 0;
    std::size_t destination = 0;
    bool is_replica = false;
  };

  std::vector<target_part> targets(std::size_t feature, int rank) const;
  void list_sends(const rank_sums& sums, std::vector<send_piece>& sends);
  /// The columns of a piece of all sums of a feature, contiguous.
  const float* columns_of(const feature_sums& sums, std::size_t table, std::size_t piece);
  void read_announced(std::span<const std::vector<std::int64_t>> announced);
  void place();
  void list_receives(std::vector<receive_piece>& receives) const;
  void list_arrived(collection::call_records& call) const;
  void number_by_id(const arriving_sums& sums) const;

  const layout* layout_;
  shard_memory* shards_;
  const collection::configured_tables* configured_;
  std::vector<std::size_t> table_of_feature_;
  operations::device_access* access_;
  int num_ranks_;
  std::vector<arriving_sums> arriving_;
  working_memory memory_;
  std::vector<collection::device_buffer> columns_;  // of sums on their way
};

}  // namespace warpbag::sharding
