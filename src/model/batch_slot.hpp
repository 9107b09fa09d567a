// SPDX-License-Identifier: Apache-2.0
#pragma once
// One batch on its way through the device: its inputs in one block of bytes (so that they travel in
// one copy) and its logits and losses in another.

#include <memory>
#include <span>
#include <vector>

#include "model/model_device.hpp"
#include "warpbag/dataset.hpp"
#include "warpbag/jagged_view.hpp"

namespace warpbag::model {

class batch_slot {
 public:
  /// `multi_hot[f]`: feature f has bags of any size, so it needs offsets.
  batch_slot(model_device& device, std::vector<bool> multi_hot)
      : device_(&device), multi_hot_(std::move(multi_hot)) {}

  /// Takes a batch in. Waits for the work on the one before.
  void fill(const batch& samples);

  std::int64_t num_samples() const noexcept { return num_samples_; }

  /// On the device: for each feature its bags, then as many again for the first-order weights, then
  /// one bag with id 0 per sample for the bias.
  std::span<const jagged_view> bags() const noexcept { return bags_; }
  const float* labels() const noexcept { return labels_; }
  float* logits() const noexcept { return logits_; }
  float* losses() const noexcept { return losses_; }

  /// Enqueue the copies of the inputs and of the results; wait for the results.
  void copy_inputs();
  void copy_results();
  void wait();

  /// On the host, after wait(): [num_samples].
  std::span<const float> host_logits() const noexcept;
  std::span<const float> host_losses() const noexcept;
  std::span<const float> host_labels() const noexcept;

 private:
  class packer;

  model_device* device_;
  std::vector<bool> multi_hot_;
  std::int64_t num_samples_ = 0;
  std::unique_ptr<twin_memory> inputs_;
  std::unique_ptr<twin_memory> results_;
  std::size_t input_capacity_ = 0;
  std::size_t result_capacity_ = 0;
  std::size_t input_bytes_ = 0;
  std::vector<jagged_view> bags_;
  const float* labels_ = nullptr;
  const float* host_labels_ = nullptr;
  float* logits_ = nullptr;
  float* losses_ = nullptr;
};

}  // namespace warpbag::model
