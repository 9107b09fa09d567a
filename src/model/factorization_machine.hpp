// SPDX-License-Identifier: Apache-2.0
#pragma once
// A factorization machine whose every parameter is an embedding row.
//
// Over ranks each one has a part of every batch and of the tables; all ranks make all calls
// together. Logits, losses and weights have the bits of one device.

#include <filesystem>
#include <memory>
#include <vector>

#include "model/batch_slot.hpp"
#include "model/machine_bags.hpp"
#include "model/machine_config.hpp"
#include "model/model_device.hpp"
#include "model/rank_group.hpp"

namespace warpbag::model {

class factorization_machine {
 public:
  /// Keeps a reference to `device`. Throws as embedding_bag_collection does.
  factorization_machine(machine_config config, model_device& device,
                        bad_id_policy policy = bad_id_policy::error);
  /// One rank's part of it: `plan` is of machine_tables(config). Throws as
  /// sharded_embedding_bag_collection does.
  factorization_machine(machine_config config, model_device& device, bad_id_policy policy,
                        const sharding_plan& plan, std::shared_ptr<transport> ranks);

  const machine_config& config() const noexcept { return config_; }
  model_device& device() noexcept { return *device_; }
  rank_group& ranks() noexcept { return ranks_; }

  /// A slot for batches of these features.
  batch_slot make_slot() const;

  /// Enqueue the slot's batch: its logits and losses come back to the slot. `train` also takes one
  /// step of every table's optimizer by the gradient of the batch's mean loss. On the CPU and over
  /// ranks a bad batch throws here, on one CUDA device at the next check(). `next`: the slot of the
  /// next call, if it is filled already; ranks then ask for its rows ahead.
  void score(batch_slot& slot, const batch_slot* next = nullptr);
  void train(batch_slot& slot, const batch_slot* next = nullptr);

  /// Waits for the device; throws if a batch since the last call was bad.
  void check() { bags_->check(); }
  /// Of all ranks, under skip and zero.
  std::int64_t bad_ids() { return ranks_.sum(bags_->bad_ids()); }

  /// As save_checkpoint and load_checkpoint: files do not depend on ranks.
  void save(const std::filesystem::path& file, const safetensors_metadata& metadata) {
    bags_->save(file, metadata);
  }
  void load(const std::filesystem::path& file) { bags_->load(file); }

 private:
  factorization_machine(machine_config config, model_device& device,
                        std::unique_ptr<machine_bags> bags, rank_group ranks);

  /// One row per sample: the pooled vectors, the pooled first-order weights, the bias.
  void make_room(std::int64_t batch);
  std::vector<tensor_view> columns_of(float* matrix, std::int64_t batch) const;
  void forward(batch_slot& slot, const batch_slot* next, bool with_gradients);

  machine_config config_;
  model_device* device_;
  rank_group ranks_;
  /// What bags_ may be reading ahead, also when the slot has ended with an exception.
  std::shared_ptr<const twin_memory> read_ahead_;
  std::unique_ptr<machine_bags> bags_;
  std::int64_t stride_;
  std::int64_t capacity_ = 0;  // samples that the matrices have room for
  std::shared_ptr<float> pooled_;
  std::shared_ptr<float> gradients_;
};

}  // namespace warpbag::model
