// SPDX-License-Identifier: Apache-2.0
#pragma once
// row_exchange::partial_bags, before any row is read: every rank cuts its bags into parts, one for
// each owner that has a row of the bag, and sends each part to its owner.
//
// Of a part go its lookups (row at the owner, weight), in bag order, and one word with the number
// of the bag within its rank and the number of its lookups; of a mean also 1 / count of the whole
// bag, which only the rank with the bag knows. Padding and bad ids stay behind.

#include <cstdint>
#include <span>
#include <vector>

#include "collection/configured_tables.hpp"
#include "sharding/layout.hpp"
#include "sharding/shard_memory.hpp"
#include "sharding/working_backend.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::sharding {

struct found_rows;

/// One feature's parts as this rank sends them, owner after owner.
struct sent_parts {
  std::size_t feature = 0;
  std::size_t table = 0;
  bool weighted = false;
  std::vector<std::int64_t> parts;      // [owner]
  std::vector<std::int64_t> lookups;    // [owner]
  std::vector<std::int64_t> positions;  // [lookup] in the feature's ids
  std::vector<float> lookup_scales;     // [lookup] of a mean: 1 / count of its bag
  // On the device:
  std::int64_t* bags = nullptr;   // [part] bag within this rank
  std::int64_t* rows = nullptr;   // [lookup] row at the owner
  std::int64_t* words = nullptr;  // [part]
  float* scales = nullptr;        // [part] of a mean
  float* weights = nullptr;       // [lookup]
  // The bags as bags of parts, in owner order: part number k of all, or `num_parts` for a row of
  // zeros, with which a mean is filled up to its count.
  std::int64_t num_parts = 0;
  std::int64_t num_part_ids = 0;
  std::int64_t* part_ids = nullptr;      // [num_part_ids]
  std::int64_t* part_offsets = nullptr;  // [bags + 1]
};

/// One feature's parts at an owner, rank after rank.
struct received_parts {
  std::size_t feature = 0;
  std::size_t shard = 0;
  std::vector<std::int64_t> parts;    // [rank]
  std::vector<std::int64_t> lookups;  // [rank]
  std::vector<bool> weighted;         // [rank]
  std::int64_t num_parts = 0;
  std::int64_t num_lookups = 0;
  bool any_weighted = false;
  std::vector<std::int64_t> bags;   // [part] bag within its rank
  std::vector<std::int64_t> sizes;  // [part] lookups
  std::vector<float> scales;        // [part] of a mean
  // On the device:
  std::int64_t* rows = nullptr;   // [lookup]
  std::int64_t* words = nullptr;  // [part]
  float* device_scales = nullptr;
  float* weights = nullptr;  // [lookup]; nullptr: none is weighted
};

/// Those of one batch, features in order.
struct bag_parts {
  explicit bag_parts(operations::device_access& access)
      : sent_memory(access), received_memory(access) {}

  std::vector<sent_parts> sent;
  std::vector<received_parts> received;
  working_memory sent_memory;
  working_memory received_memory;
};

class part_router {
 public:
  part_router(const layout& layout, const shard_memory& shards,
              const collection::configured_tables& configured, operations::device_access& access);

  bool any() const { return !features_.empty(); }

  /// Cuts the bags of a batch whose rows are found, and takes these rows out of `found`: nothing
  /// else asks for them. Waits.
  void cut(const collection::call_records& call, found_rows& found, bag_parts& parts) const;

  /// What `to` is told: of each feature whose rows it owns the parts, their lookups, and whether
  /// these are weighted.
  std::vector<std::int64_t> announce(const bag_parts& parts, int to) const;
  std::int64_t announced_size(int to) const;
  /// from_each[rank]: what rank announced here.
  void learn(std::span<const std::span<const std::int64_t>> from_each, bag_parts& parts) const;
  /// Lookups that the ranks send for a part of a table: [rank].
  std::vector<std::int64_t> lookups_of(const bag_parts& parts, std::size_t shard) const;

  /// After learn. rows(shard): room for all lookups of a shard.
  template <typename Rows>
  void list(bag_parts& parts, Rows rows, std::vector<send_piece>& sends,
            std::vector<receive_piece>& receives) const {
    for (received_parts& received : parts.received) received.rows = rows(received);
    list_sends(parts, sends);
    place(parts);
    list_receives(parts, receives);
  }
  /// After the exchange: brings words and scales to the host. Waits.
  void read(bag_parts& parts) const;

  /// Features whose rows `rank` owns some of.
  std::int64_t num_features_of(int rank) const;
  /// Whether `rank` owns rows of the table.
  bool owns(int rank, std::size_t table) const;

 private:
  struct owner_list;
  struct cut_bags;
  struct feature_bags;

  feature_bags cut_feature(const collection::call_records& call, const found_rows& found,
                           const sent_parts& sent) const;
  cut_bags join(const feature_bags& bags, sent_parts& sent) const;
  void list_sends(const bag_parts& parts, std::vector<send_piece>& sends) const;
  void place(bag_parts& parts) const;
  void list_receives(const bag_parts& parts, std::vector<receive_piece>& receives) const;
  bool is_mean(std::size_t feature) const {
    return configured_->features()[feature].mode == pooling_mode::mean;
  }

  const layout* layout_;
  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  std::vector<std::size_t> features_;  // of tables whose bags are pooled in parts
  std::vector<std::size_t> tables_;    // [of features_]
};

}  // namespace warpbag::sharding
