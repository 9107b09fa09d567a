// SPDX-License-Identifier: Apache-2.0
#pragma once
// Many tables, trained together: owns weights, optimizer states, step counters and scratch memory
// on one device.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/embedding_bag.hpp"
#include "warpbag/embedding_table.hpp"

namespace warpbag {

/// A feature reads a table; several may read the same one.
struct feature_config {
  std::string name = {};
  std::string table = {};
  pooling_mode mode = pooling_mode::sum;
};

struct collection_options {
  std::uint64_t seed = 0;  ///< of initialisation and stochastic rounding
  bad_id_policy policy = bad_id_policy::error;
  /// Whether a plan over ranks may have tables of row_exchange::partial_bags, whose pooled sums
  /// depend on the number of ranks. Nothing else does, so a single device has no use for it.
  bool allow_inexact = false;
};

class WARPBAG_EXPORT embedding_bag_collection {
 public:
  /// @throws invalid_argument (names the table or feature and the value), bad_allocation,
  /// device_unavailable
  embedding_bag_collection(std::vector<table_config> tables, std::vector<feature_config> features,
                           const resources& resources, const collection_options& options = {});
  embedding_bag_collection(embedding_bag_collection&&) noexcept;
  embedding_bag_collection& operator=(embedding_bag_collection&&) noexcept;
  ~embedding_bag_collection();

  /// Makes room for batches up to this one's sizes; forward does it too where needed (which
  /// allocates).
  void reserve(std::span<const jagged_view> bags);

  /// bags[i] and outputs[i] belong to feature i. See warpbag::forward.
  void forward(std::span<const jagged_view> bags, std::span<const tensor_view> outputs);
  /// The optimizer step for the batch of the last forward. See warpbag::backward_fused. All
  /// backward calls take the bags again: the same views as in forward, whose memory must still hold
  /// the same ids.
  void backward(std::span<const jagged_view> bags,
                std::span<const const_tensor_view> output_gradients,
                std::span<float* const> weight_gradients = {});
  void backward_sparse(std::span<const jagged_view> bags,
                       std::span<const const_tensor_view> output_gradients,
                       std::span<const sparse_gradient> gradients,
                       std::span<float* const> weight_gradients = {});
  void backward_dense(std::span<const jagged_view> bags,
                      std::span<const const_tensor_view> output_gradients,
                      std::span<const tensor_view> gradients,
                      std::span<float* const> weight_gradients = {});
  void apply_gradients(std::span<const sparse_gradient> gradients);

  /// Waits for the device; throws if a batch since the last call was bad. See
  /// step_workspace::check.
  void check();
  std::int64_t bad_ids();

  /// Enqueued like a step; a captured graph that is replayed later sees it.
  void set_learning_rate(float learning_rate);
  void set_learning_rate(std::string_view table, float learning_rate);
  /// Waits. Optimizer step state of a table, and back (for resuming).
  step_state step_of(std::size_t table);
  void set_step(std::size_t table, const step_state& state);

  std::size_t num_tables() const;
  std::size_t num_features() const;
  const table_config& config(
      std::size_t table) const;  ///< `pretrained` is dropped after construction
  const feature_config& feature(std::size_t feature) const;
  std::size_t table_index(std::string_view name) const;  ///< throws invalid_argument
  const resources& get_resources() const;
  const collection_options& options() const;

  /// Views into memory of the device. States: nullptr data where absent; per_row states are
  /// [num_embeddings, 1].
  tensor_view weight(std::size_t table);
  tensor_view state(std::size_t table, int index);

  /// Copies between a host buffer of the view's size (contiguous) and the device; these wait.
  void copy_to_host(const_tensor_view source, void* host);
  void copy_from_host(const void* host, tensor_view destination);

  std::size_t workspace_bytes() const;

 private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

}  // namespace warpbag
