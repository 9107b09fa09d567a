// SPDX-License-Identifier: Apache-2.0
#pragma once
// row_exchange::partial_bags: owners pool the parts of bags that they were sent (bag_parts.hpp) and
// ranks add the sums of a bag's parts, in the order of its owners. Backward the output gradient of
// a bag goes to the owners of its rows. They see all occurrences of their rows in the global batch,
// so they sum the gradient tree of N3 whole: only pooled sums depend on the number of owners.

#include <vector>

#include "sharding/bag_parts.hpp"
#include "sharding/gradient_exchange.hpp"
#include "sharding/rank_calls.hpp"
#include "sharding/routed_batch.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

class partial_bags {
 public:
  partial_bags(const layout& layout, shard_memory& shards,
               const collection::configured_tables& configured, operations::device_access& access);

  // ---- forward ----
  /// Collective. Pools this rank's parts of all bags, exchanges the sums and writes the outputs of
  /// batch.call. Returns the bytes sent to other ranks.
  std::int64_t pool(rank_calls& calls, const routed_batch& batch, working_backend& backend);
  /// The features that are pooled so have no bags in `compact`: they take no part in the exchange
  /// of rows and of sums.
  static void leave_out(const bag_parts& parts, collection::call_records& compact);

  // ---- backward ----
  /// Adds to what each rank is told: of each feature whose rows it owns, whether gradients of
  /// weights are wanted. `refused`: this rank has no call, and nobody will go on.
  void announce(const bag_parts& parts, const collection::call_records& call, bool refused,
                std::vector<std::vector<std::int64_t>>& told) const;
  std::int64_t announced_size(int to) const;
  /// Collective, before tables change. `call`: has the output gradients and targets of gradients of
  /// weights by feature. `announced`: from each rank, where announcements end with what announce
  /// gave. Writes gradients of weights. Returns the bytes sent to other ranks.
  std::int64_t take_gradients(rank_calls& calls, const routed_batch& batch,
                              const collection::call_records& call,
                              std::span<const std::vector<std::int64_t>> announced,
                              working_backend& backend);
  /// Of all features on this rank's shards, until the next forward.
  std::span<const given_bags> gradients() const { return gradients_; }

 private:
  /// Memory of one feature at an owner.
  struct owner_feature {
    float* sums = nullptr;                 // forward: [parts, dim]
    std::int64_t* offsets = nullptr;       // forward: [parts + 1]; backward: [global batch + 1]
    std::int64_t* part_ids = nullptr;      // [parts] 0, 1, ...
    std::int64_t* part_offsets = nullptr;  // [global batch + 1]: a bag has a part or none
    std::byte* arriving = nullptr;         // [parts, dim] output gradients
    float* gradient = nullptr;             // [global batch, dim]
    float* weights = nullptr;              // [lookups] what gradients are scaled by
    float* weight_gradient = nullptr;      // [lookups]
    std::vector<bool> wanted = {};         // [rank] gradients of weights
    bool any_wanted = false;
  };

  void pool_parts(const routed_batch& batch, working_backend& backend);
  void add_parts(const routed_batch& batch, working_backend& backend);
  void learn_wanted(const routed_batch& batch,
                    std::span<const std::vector<std::int64_t>> announced);
  void place_gradients(const routed_batch& batch, dtype type);
  void send_gradients(const routed_batch& batch, const collection::call_records& call,
                      working_backend& backend, std::vector<send_piece>& sends);
  void receive_gradients(const routed_batch& batch, dtype type,
                         std::vector<receive_piece>& receives) const;
  void widen_gradients(const routed_batch& batch, dtype type, working_backend& backend);
  std::vector<float> scales_of(const received_parts& received) const;
  void list_gradients(const routed_batch& batch);
  void multiply_gradients(working_backend& backend);
  std::int64_t return_weight_gradients(rank_calls& calls, const routed_batch& batch,
                                       const collection::call_records& call);
  bool has_gradients(std::size_t table, bool wanted) const;
  /// Lays call_ out and checks its ids. nullptr: it has no features.
  operations::backend* checked_call(working_backend& backend);
  void pool_call(working_backend& backend);
  /// What goes to or comes from the owners of a table's rows, side by side from `next` on:
  /// counts[owner] elements of `element_bytes`.
  template <typename Piece>
  void add_owner_pieces(std::size_t table, std::span<const std::int64_t> counts, std::byte* next,
                        std::int64_t element_bytes, std::vector<Piece>& pieces) const {
    const auto& ranks = layout_->tables()[table].pieces.front().ranks;
    for (std::size_t owner = 0; owner < ranks.size(); ++owner) {
      pieces.push_back({ranks[owner], next, counts[owner] * element_bytes});
      next += counts[owner] * element_bytes;
    }
  }
  std::int64_t dim_of(std::size_t table) const {
    return configured_->tables()[table].embedding_dim;
  }
  std::size_t table_of(const received_parts& received) const {
    return shards_->shards()[received.shard].table;
  }

  const layout* layout_;
  shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  part_router router_;
  bool any_ = false;                   // table is pooled so: the same on all ranks
  std::vector<owner_feature> owned_;   // [received]
  std::vector<given_bags> gradients_;  // [received]
  collection::call_records call_;
  working_memory forward_memory_;
  working_memory sums_memory_;     // that came back
  std::vector<float*> part_sums_;  // [sent] in it
  working_memory backward_memory_;
  working_memory packed_memory_;  // output gradients on their way
};

}  // namespace warpbag::sharding
