// SPDX-License-Identifier: Apache-2.0
#pragma once
// A factorization machine whose every parameter is an embedding row.
//
// Tables of the collection: for each id space <t> its vectors `<t>.vector` [rows, dim] and
// first-order weights `<t>.linear` [rows, 1]; `bias` [1, 1]. Features: those of the data on the
// vectors, the same again on the first-order weights, and the bias, which every sample looks up.

#include <memory>
#include <vector>

#include "model/batch_slot.hpp"
#include "model/machine_config.hpp"
#include "model/model_device.hpp"
#include "warpbag/collection.hpp"

namespace warpbag::model {

class factorization_machine {
 public:
  /// Keeps a reference to `device`. Throws as embedding_bag_collection does.
  factorization_machine(machine_config config, model_device& device,
                        bad_id_policy policy = bad_id_policy::error);

  const machine_config& config() const noexcept { return config_; }
  embedding_bag_collection& collection() noexcept { return collection_; }
  model_device& device() noexcept { return *device_; }

  /// A slot for batches of these features.
  batch_slot make_slot() const;

  /// Enqueue the slot's batch: its logits and losses come back to the slot. `train` also takes one
  /// step of every table's optimizer by the gradient of the batch's mean loss. On the CPU a bad
  /// batch throws here, on CUDA at the next collection().check().
  void score(batch_slot& slot);
  void train(batch_slot& slot);

 private:
  /// One row per sample: the pooled vectors, the pooled first-order weights, the bias.
  void make_room(std::int64_t batch);
  std::vector<tensor_view> columns_of(float* matrix, std::int64_t batch) const;
  void forward(batch_slot& slot, bool with_gradients);

  machine_config config_;
  model_device* device_;
  embedding_bag_collection collection_;
  std::int64_t stride_;
  std::int64_t capacity_ = 0;  // samples that the matrices have room for
  std::shared_ptr<float> pooled_;
  std::shared_ptr<float> gradients_;
};

}  // namespace warpbag::model
