// SPDX-License-Identifier: Apache-2.0
#pragma once
// The order of a sharded step; this is the only place that knows it.
//
//   forward   route (or take what prefetch has routed), fetch rows, pool
//   backward  agree on the call and announce moved bags; [move bags]; sum subtrees; announce and
//             exchange sums; when all ranks have everything: step the optimizers, or give the
//             gradients to the caller
//   apply_gradients  agree on the call; when all ranks have everything: step the optimizers
//
// Until the optimizers step no table has changed, but for rows that forward renormalised, and these
// are taken back when a forward fails.
//
//   prefetch  find rows, in a thread and on a stream of their own; then ask their owners for them:
//             in a thread too where transports may be used at the same time (CPU), else at the end
//             of the next backward or apply_gradients, at the latest in forward, because NCCL wants
//             one order of all that the ranks send each other. Then the rows asked for travel on
//             the other stream, while the main one steps the optimizers.

#include <future>
#include <optional>

#include "collection/validate.hpp"
#include "operations/side_stream.hpp"
#include "sharding/given_gradients.hpp"
#include "sharding/gradient_exchange.hpp"
#include "sharding/joined_updates.hpp"
#include "sharding/moved_bags.hpp"
#include "sharding/partial_bags.hpp"
#include "sharding/row_fetcher.hpp"
#include "sharding/wanted_gradients.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag::sharding {

class sharded_step {
 public:
  sharded_step(const resources& resources, const layout& layout, shard_memory& shards,
               collection::configured_tables& configured, operations::device_access& access,
               std::shared_ptr<transport> ranks, std::uint64_t schema);
  ~sharded_step();

  void reserve(std::span<const jagged_view> bags);
  void prefetch(std::span<const jagged_view> bags);
  void forward(std::span<const jagged_view> bags, std::span<const tensor_view> outputs);
  void backward(std::span<const jagged_view> bags,
                std::span<const const_tensor_view> output_gradients,
                const collection::gradient_target& target, std::span<float* const> weight_gradients,
                std::uint64_t rates_hash);
  void apply_gradients(std::span<const sparse_gradient> gradients, std::uint64_t rates_hash);
  std::int64_t gradient_capacity(std::size_t shard) const;

  void share_padding_rows();

  /// Waits for the device.
  void check() { static_cast<void>(bags_.get().status()); }
  /// With those of a prefetched batch, for which this waits.
  std::int64_t bad_ids() {
    await_router();
    return router_.bad_ids();
  }
  const step_traffic& last_traffic() const { return traffic_; }

 private:
  enum class batch_state : std::uint8_t { none, pooled, consumed };

  void make_call(std::span<const jagged_view> bags, collection::call_records& call) const;
  /// Until no thread works with the router.
  void await_router() const {
    if (found_.valid()) found_.wait();
  }
  void ask_prefetched(routed_batch& batch);
  /// At the end of a call of all ranks: does what a prefetch has left to it.
  void finish_prefetch();
  void place_max_positions(collection::call_records& call);
  void take_prefetched(const collection::call_records& call, std::exception_ptr rejected);
  void pool();
  /// Throws invalid_argument for a call that is not the backward of the current batch.
  void take_gradients(std::span<const jagged_view> bags,
                      std::span<const const_tensor_view> output_gradients,
                      const collection::gradient_target& target,
                      std::span<float* const> weight_gradients);
  void cut_batch();
  void find_weight_gradients();
  void sum_own();
  void sum_moved(cut_side side);
  void exchange_sums();
  void prepare_step();
  void step_optimizers();
  void agree(rank_operation operation, std::uint64_t schema, const rank_fault& fault,
             std::span<const std::vector<std::int64_t>> told,
             std::vector<std::vector<std::int64_t>>& learned);
  /// Runs the part of a call that follows its agreement: what fails there ends the ranks' work.
  template <typename Body>
  void together(Body body);

  routed_batch& batch() { return batches_[current_]; }

  shard_memory* shards_;
  collection::configured_tables* configured_;
  operations::device_access* access_;
  std::vector<operations::table_record> whole_tables_;  // without memory
  collection::call_records stepped_;                    // their step states
  std::unique_ptr<operations::side_stream> side_;
  std::unique_ptr<operations::device_access> side_access_;
  rank_calls calls_;
  rank_calls routing_calls_;  // of prefetch, on the side stream
  bool asks_beside_;          // prefetch, in a thread of its own

  batch_router router_;
  padding_rows padding_;
  row_fetcher fetcher_;
  partial_bags partial_;
  moved_bags moved_;
  gradient_exchange exchange_;
  joined_updates joined_;
  wanted_gradients wanted_;
  given_gradients given_;
  working_backend bags_;   // on this rank's batch
  working_backend owner_;  // on this rank's shards, and on moved bags
  std::array<routed_batch, 2> batches_;
  std::size_t current_ = 0;               // of batches_
  std::shared_future<rank_fault> found_;  // by the thread of the last prefetch
  std::future<void> prefetched_;          // valid until its forward
  collection::call_records compact_;      // the current batch on fetched rows
  batch_state state_ = batch_state::none;
  bool summed_ = false;  // by a backward of the current batch
  working_memory max_positions_;
  collection::call_records finish_;  // of all shards but the joined ones
  std::array<subtree_sums, num_rounds> sums_;
  std::array<found_rows, 2> moved_rows_;  // [cut_side]
  collection::call_records moved_compact_;
  std::vector<batch_cut> cuts_;  // [feature]; of frozen tables: of no samples
  step_traffic traffic_;
};

template <typename Body>
void sharded_step::together(Body body) {
  try {
    body();
  } catch (const std::exception& fault) {
    state_ = batch_state::none;
    calls_.close(fault);
    routing_calls_.close(fault);
    throw;
  }
}

}  // namespace warpbag::sharding
