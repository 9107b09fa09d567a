// SPDX-License-Identifier: Apache-2.0
#pragma once
// One batch on its way through the device: its inputs in one block of bytes (so that they travel in
// one copy) and its logits and losses in another. Ranks that share batches have each the inputs of
// their own part, and the results of all.

#include <memory>
#include <span>
#include <vector>

#include "model/model_device.hpp"
#include "warpbag/batch_loader.hpp"
#include "warpbag/dataset.hpp"
#include "warpbag/jagged_view.hpp"

namespace warpbag::model {

class batch_slot {
 public:
  /// `multi_hot[f]`: feature f has bags of any size, so it needs offsets.
  batch_slot(model_device& device, std::vector<bool> multi_hot)
      : device_(&device), multi_hot_(std::move(multi_hot)) {}

  /// Takes in `part` of a batch of `batch_size` samples, which comes in pieces, and enqueues the
  /// copy of its inputs. Waits for the work on the one before.
  void fill(std::span<const batch> pieces, batch_part part, std::int64_t batch_size);

  std::int64_t num_samples() const noexcept { return num_samples_; }  ///< of the part
  std::int64_t batch_size() const noexcept { return batch_size_; }

  /// On the device: for each feature its bags, then as many again for the first-order weights, then
  /// one bag with id 0 per sample for the bias.
  std::span<const jagged_view> bags() const noexcept { return bags_; }
  /// Keeps the memory that bags() and labels() are in.
  std::shared_ptr<const twin_memory> inputs() const noexcept { return inputs_; }
  const float* labels() const noexcept { return labels_; }
  /// [batch_size]: of the whole batch; the part's own begin at its first sample.
  float* logits() const noexcept { return logits_; }
  float* losses() const noexcept { return losses_; }

  /// Enqueue the copy of the results; wait for them.
  void copy_results();
  void wait();

  /// On the host, after wait(): [batch_size].
  std::span<const float> host_logits() const noexcept;
  std::span<const float> host_losses() const noexcept;

 private:
  class packer;
  std::size_t result_bytes() const noexcept;

  model_device* device_;
  std::vector<bool> multi_hot_;
  std::int64_t num_samples_ = 0;
  std::int64_t batch_size_ = 0;
  std::shared_ptr<twin_memory> inputs_;
  std::shared_ptr<twin_memory> results_;
  std::size_t input_capacity_ = 0;
  std::size_t result_capacity_ = 0;
  std::vector<jagged_view> bags_;
  const float* labels_ = nullptr;
  float* logits_ = nullptr;
  float* losses_ = nullptr;
};

}  // namespace warpbag::model
