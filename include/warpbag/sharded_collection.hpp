// SPDX-License-Identifier: Apache-2.0
#pragma once
// A collection whose tables are split over ranks by a plan. Every rank makes one, with the same
// tables, features, plan and options, and all calls that are marked collective are made by all
// ranks together, each with its own part of the global batch (any size, also none).
//
// The global batch is the concatenation of the ranks' batches in rank order, and everything means
// what it means on one device for that batch: outputs, gradients (no division by the number of
// ranks), frequency counts, max_norm, optimizer steps. Bits are those of one device, for any plan
// of exchange `rows` and any number of ranks. Tables of row_exchange::partial_bags add the parts of
// a bag in the order of their owners: the same bits in every run, but outputs that depend on the
// number of owners. Their gradients are summed as on one device.
//
// When a batch is bad on one rank, every rank throws the same bad_batch, which names the rank, and
// may go on with the next batch. When ranks cannot go on together (rank_lost, rank_mismatch), every
// live rank throws, its tables are as they were before the call, and the transport is closed.
//
// Streams: on CUDA work is enqueued on resources.stream, and what finds and asks for the rows of a
// batch on a stream of the collection's own, in order with it; resources.memory is asked for memory
// on both, and by the thread of prefetch. Sizes of messages come from the data, so forward and
// backward wait for the device a few times and cannot be captured in a graph.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/collection.hpp"
#include "warpbag/sharding_plan.hpp"
#include "warpbag/transport.hpp"

namespace warpbag {

/// A part of a table in one rank's memory.
struct table_shard {
  std::size_t table = 0;
  std::int64_t num_rows = 0;
  std::int64_t first_column = 0;
  std::int64_t num_columns = 0;
  bool is_replica = false;  ///< of a data-parallel table, or of the plan's replicated rows
};

/// What this rank's last step sent to other ranks, by cause, without the fixed-size headers.
struct step_traffic {
  std::int64_t row_request_bytes = 0;
  std::int64_t row_bytes = 0;        ///< of rows, partial bags, and norms of rows in pieces
  std::int64_t gradient_bytes = 0;   ///< sums of subtrees with their row numbers, gradients of
                                     ///< partial bags, sums over rows in pieces
  std::int64_t moved_bag_bytes = 0;  ///< bags of slices that a rank boundary cuts
};

class WARPBAG_EXPORT sharded_embedding_bag_collection {
 public:
  /// Collective. `ranks`: on the device of `resources` (and its stream); shared, because the
  /// collection splits one more transport off it.
  /// @throws invalid_argument (also for a plan that does not fit the tables), bad_allocation,
  /// device_unavailable, rank_lost, rank_mismatch (another plan on another rank; where sizes happen
  /// to fit, by the first forward)
  sharded_embedding_bag_collection(std::vector<table_config> tables,
                                   std::vector<feature_config> features, const sharding_plan& plan,
                                   std::shared_ptr<transport> ranks, const resources& resources,
                                   const collection_options& options = {});
  sharded_embedding_bag_collection(sharded_embedding_bag_collection&&) noexcept;
  sharded_embedding_bag_collection& operator=(sharded_embedding_bag_collection&&) noexcept;
  ~sharded_embedding_bag_collection();

  /// Makes room for what this rank finds out of batches up to this one's sizes. What other ranks
  /// ask for and send is known when they do, so steps allocate all the same, with a quarter to
  /// spare: after some steps hardly ever.
  void reserve(std::span<const jagged_view> bags);

  /// Collective. Starts on the next batch and returns: its rows are found in a thread of its own
  /// (CUDA: on a stream of its own, after what is on resources.stream now) and asked for over a
  /// transport of its own. On the CPU that is done beside, too; on CUDA it is done at the end of
  /// the next backward or apply_gradients, at the latest in forward (docs/sharding.md says why),
  /// and what is asked for travels beside the optimizers. The next forward must be given the same
  /// bags, whose memory must hold the ids from now until its backward. Bits do not change. A bad
  /// batch is thrown by that forward.
  void prefetch(std::span<const jagged_view> bags);

  /// Collective. As embedding_bag_collection.
  void forward(std::span<const jagged_view> bags, std::span<const tensor_view> outputs);
  void backward(std::span<const jagged_view> bags,
                std::span<const const_tensor_view> output_gradients,
                std::span<float* const> weight_gradients = {});

  /// Collective. The gradient of the global batch for the rows that this rank holds:
  /// gradients[s] belongs to shard s. Rows are ids of the table, ascending, and values their sums
  /// in the shard's columns, to the bit those of one device. Replicas get the same on every rank.
  /// gradients[s].rows and .values hold gradient_capacity(s) rows or more.
  void backward_sparse(std::span<const jagged_view> bags,
                       std::span<const const_tensor_view> output_gradients,
                       std::span<const sparse_gradient> gradients,
                       std::span<float* const> weight_gradients = {});
  /// Collective. The same as matrices of the shape of weight(s), zero where untouched; overwrites.
  void backward_dense(std::span<const jagged_view> bags,
                      std::span<const const_tensor_view> output_gradients,
                      std::span<const tensor_view> gradients,
                      std::span<float* const> weight_gradients = {});
  /// After forward: room that backward_sparse of its batch needs for shard s, in rows. It may
  /// differ from rank to rank. Of replicas it is all of their rows.
  std::int64_t gradient_capacity(std::size_t shard) const;
  /// Collective. The optimizer step from gradients made by backward_sparse, perhaps changed since:
  /// values, or rows left out. It waits for the device and reads the ids. Throws invalid_argument
  /// where ids do not ascend or are not of the shard, and rank_mismatch where replicas would part:
  /// gradients of a replica must be the same on all ranks, to the bit, and those of a row's column
  /// pieces must all be there or none.
  void apply_gradients(std::span<const sparse_gradient> gradients);

  /// Waits for the device; errors of its work come out here. A bad batch does not: on every device
  /// it was thrown by its forward.
  void check();
  /// Met by this rank under skip and zero, those of a prefetched batch (it waits for it) with them.
  std::int64_t bad_ids();
  /// Not collective, but all ranks must do the same: backward throws rank_mismatch where not.
  void set_learning_rate(float learning_rate);
  void set_learning_rate(std::string_view table, float learning_rate);
  step_state step_of(std::size_t table);
  void set_step(std::size_t table, const step_state& state);

  std::size_t num_tables() const;
  std::size_t num_features() const;
  const table_config& config(std::size_t table) const;
  const feature_config& feature(std::size_t feature) const;
  std::size_t table_index(std::string_view name) const;
  const resources& get_resources() const;
  const collection_options& options() const;
  const sharding_plan& plan() const;
  transport& ranks();

  // ---- what this rank holds ----
  std::size_t num_shards() const;
  const table_shard& shard(std::size_t shard) const;
  /// The table's id of a row of a shard.
  std::int64_t row_id(std::size_t shard, std::int64_t row) const;
  tensor_view weight(std::size_t shard);
  tensor_view state(std::size_t shard, int index);
  void copy_to_host(const_tensor_view source, void* host);
  void copy_from_host(const void* host, tensor_view destination);

  /// Collective. Mode none returns padding rows, of which every rank keeps a copy: call this after
  /// rows that may be among them were written.
  void share_padding_rows();

  const step_traffic& last_traffic() const;
  /// Bytes of scratch memory that this rank holds, beside weights and states.
  std::size_t workspace_bytes() const;

 private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

}  // namespace warpbag
