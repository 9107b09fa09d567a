// SPDX-License-Identifier: Apache-2.0
#pragma once
// Embedding bags over memory that you own: the functional interface. Everything is a view; nothing
// is kept but scratch memory in the `step_workspace`. Semantics are those of
// torch.nn.functional.embedding_bag (docs/semantics.md lists where they go further). Many tables
// and features go in one call, and on a GPU in one launch per stage.
//
// Streams: on CUDA all work is enqueued on resources.stream; no call here synchronises, and once
// the workspace is large enough none allocates, so forward + backward can be captured in a CUDA
// graph and replayed with new ids, learning rate and step. Determinism: gpu_to_gpu; the CPU with
// any number of threads and every GPU give the same bits.

#include <memory>
#include <optional>
#include <span>

#include "warpbag/error.hpp"
#include "warpbag/jagged_view.hpp"
#include "warpbag/optimizer.hpp"
#include "warpbag/resources.hpp"
#include "warpbag/tensor_view.hpp"

namespace warpbag {

/// One table, torch's option names.
struct table_view {
  tensor_view weight = {};  ///< [num_embeddings, embedding_dim], 1 <= embedding_dim <= 8192
  std::optional<std::int64_t> padding_idx =
      std::nullopt;  ///< negative counts from the end; the row is not pooled and not trained
  std::optional<float> max_norm =
      std::nullopt;                  ///< rows about to be read are renormalised in place
  float norm_type = 2.0F;            ///< any p > 0, or infinity
  bool scale_grad_by_freq = false;   ///< divide a row's gradient by its occurrences in the batch
  bool freeze = false;               ///< no gradient, no update (max_norm still acts, as in torch)
  optimizer_options optimizer = {};  ///< used by backward_fused and apply_gradients
  float* state[2] = {nullptr, nullptr};  ///< optimizer states, shapes by optimizer_state_shape
  step_state* step = nullptr;  ///< in memory of the device; needed where the optimizer runs
  std::uint64_t seed = 0;  ///< of stochastic rounding, with `rng_table` as the table's number in it
  std::uint32_t rng_table = 0;
};

/// One feature: bags that read a table. Features may share a table; their order is the order of
/// summation.
struct feature_view {
  std::int32_t table = 0;  ///< index into the tables of the call
  pooling_mode mode = pooling_mode::sum;
  jagged_view bags = {};  ///< weights need mode sum or mean
};

/// A row of every feature's unique rows. Rows ascend. Padding and bad ids have no row.
struct sparse_gradient {
  std::int64_t* rows = nullptr;   ///< [capacity]
  tensor_view values = {};        ///< [capacity, embedding_dim], contiguous
  std::int64_t* count = nullptr;  ///< how many rows were written; in memory of the device
};

/// Scratch memory of forward and the backward that follows it. Move-only. One batch at a time.
class WARPBAG_EXPORT step_workspace {
 public:
  explicit step_workspace(const resources& resources, bad_id_policy policy = bad_id_policy::error);
  step_workspace(step_workspace&&) noexcept;
  step_workspace& operator=(step_workspace&&) noexcept;
  ~step_workspace();

  /// Makes room for batches of these tables and features up to the sizes of this one. forward does
  /// it too where needed, which allocates: call it before a capture.
  void reserve(std::span<const table_view> tables, std::span<const feature_view> features);
  /// Bytes that it holds.
  std::size_t bytes() const;

  /// Waits for the work on the stream; throws bad_batch (id_out_of_range, bad_offsets) if a batch
  /// since the last call was bad, and clears it. On the CPU forward throws by itself.
  void check();
  /// Waits; bad ids met under skip or zero so far.
  std::int64_t bad_ids();

  struct implementation;
  implementation& get() { return *implementation_; }

 private:
  std::unique_ptr<implementation> implementation_;
};

/// Pools features[i] into outputs[i]: [num_bags, dim] (mode none: [ids.size, dim]), fp32, fp16 or
/// bf16, one type for all outputs. Renormalises rows where max_norm asks for it; writes nothing
/// else.
/// @throws invalid_argument  shapes, types or options that do not fit (nothing was written)
/// @throws bad_batch         bad ids or offsets, on the CPU; on CUDA see step_workspace::check
WARPBAG_EXPORT void forward(std::span<const table_view> tables,
                            std::span<const feature_view> features,
                            std::span<const tensor_view> outputs, step_workspace& workspace);

/// The optimizer step on every touched row of every table that is not frozen, from output gradients
/// shaped like the outputs. weight_gradients (empty, or one pointer a feature, nullptr where not
/// wanted): [ids.size] gradients of per-sample weights. All backward calls follow a forward of the
/// same tables and features with the same workspace; tables must not have been written in between
/// (max needs its winners, weight gradients the rows that were pooled): backward without such a
/// forward, or after a fused backward of the same batch, throws invalid_argument.
WARPBAG_EXPORT void backward_fused(std::span<const table_view> tables,
                                   std::span<const feature_view> features,
                                   std::span<const const_tensor_view> output_gradients,
                                   step_workspace& workspace,
                                   std::span<float* const> weight_gradients = {});

/// One summed gradient per touched row. gradients[t].rows and .values hold min(num_embeddings, ids
/// of the table's features).
WARPBAG_EXPORT void backward_sparse(std::span<const table_view> tables,
                                    std::span<const feature_view> features,
                                    std::span<const const_tensor_view> output_gradients,
                                    std::span<const sparse_gradient> gradients,
                                    step_workspace& workspace,
                                    std::span<float* const> weight_gradients = {});

/// The whole gradient [num_embeddings, dim] of each table, zero where untouched; overwrites.
WARPBAG_EXPORT void backward_dense(std::span<const table_view> tables,
                                   std::span<const feature_view> features,
                                   std::span<const const_tensor_view> output_gradients,
                                   std::span<const tensor_view> gradients,
                                   step_workspace& workspace,
                                   std::span<float* const> weight_gradients = {});

/// The optimizer step from gradients made by backward_sparse (perhaps changed since). With fp32
/// values, backward_sparse then apply_gradients equals backward_fused bit for bit. Rows must ascend
/// without repetition and be in the table: the CPU checks it (invalid_argument), a device does not.
WARPBAG_EXPORT void apply_gradients(std::span<const table_view> tables,
                                    std::span<const sparse_gradient> gradients,
                                    step_workspace& workspace);

}  // namespace warpbag
