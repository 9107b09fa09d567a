// SPDX-License-Identifier: Apache-2.0
#include "model/batch_slot.hpp"

#include <cstring>
#include <string>

#include "warpbag/error.hpp"

namespace warpbag::model {

namespace {

/// Every array of the block begins at a multiple of this.
constexpr std::size_t alignment = 16;

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

/// Makes `memory` hold `bytes`; half as much again, so that batches of slowly growing bags do not
/// allocate at each step.
void make_room(model_device& device, std::shared_ptr<twin_memory>& memory, std::size_t& capacity,
               std::size_t bytes) {
  if (bytes <= capacity && memory != nullptr) return;
  memory.reset();
  capacity = bytes + bytes / 2 + alignment;  // a rank may have no samples: never 0
  memory = device.make_twin_memory(capacity);
}

}  // namespace

/// Lays arrays end to end: counts bytes while there is no memory, then copies.
class batch_slot::packer {
 public:
  packer() = default;
  explicit packer(twin_memory& memory) : memory_(&memory) {}

  std::size_t bytes() const { return bytes_; }

  /// Copies `values` in and returns where they are on the device.
  template <typename Value>
  const Value* add(std::span<const Value> values) {
    std::byte* const host = take(values.size_bytes());
    if (host == nullptr) return nullptr;
    if (!values.empty()) std::memcpy(host, values.data(), values.size_bytes());
    return reinterpret_cast<const Value*>(memory_->device() + (host - memory_->host()));
  }

  const std::int64_t* add_zeros(std::size_t count) {
    std::byte* const host = take(count * sizeof(std::int64_t));
    if (host == nullptr) return nullptr;
    std::memset(host, 0, count * sizeof(std::int64_t));
    return reinterpret_cast<const std::int64_t*>(memory_->device() + (host - memory_->host()));
  }

 private:
  std::byte* take(std::size_t size) {
    const std::size_t begin = bytes_;
    bytes_ += aligned(size);
    return memory_ == nullptr ? nullptr : memory_->host() + begin;
  }

  twin_memory* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

void batch_slot::fill(const batch& samples, batch_part part, std::int64_t batch_size) {
  wait();
  num_samples_ = samples.num_samples();
  batch_size_ = batch_size;
  if (num_samples_ != part.end_of(batch_size) - part.begin_of(batch_size)) {
    throw invalid_argument("batch_slot: " + std::to_string(num_samples_) + " samples for part " +
                           std::to_string(part.index) + " of " + std::to_string(part.count) +
                           " of a batch of " + std::to_string(batch_size));
  }
  const auto count = static_cast<std::size_t>(num_samples_);

  const auto pack = [&](packer packing) {
    labels_ = packing.add(std::span<const float>(samples.labels));
    bags_.clear();
    for (std::size_t f = 0; f < multi_hot_.size(); ++f) {
      const feature_batch& feature = samples.features[f];
      const auto num_ids = static_cast<std::int64_t>(feature.ids.size());
      const index_view ids(packing.add(std::span<const std::int64_t>(feature.ids)), num_ids);
      const float* const weights =
          feature.weights.empty() ? nullptr : packing.add(std::span<const float>(feature.weights));
      if (multi_hot_[f]) {
        const auto* const offsets = packing.add(std::span<const std::int64_t>(feature.offsets));
        bags_.push_back(
            jagged_view::csr(ids, index_view(offsets, num_samples_ + 1), true, weights));
      } else {
        bags_.push_back(jagged_view::fixed(ids, num_samples_, 1, weights));
      }
    }
    for (std::size_t f = 0; f < multi_hot_.size(); ++f) bags_.push_back(bags_[f]);
    const index_view zeros(packing.add_zeros(count), num_samples_);
    bags_.push_back(jagged_view::fixed(zeros, num_samples_, 1));
    return packing.bytes();
  };

  make_room(*device_, inputs_, input_capacity_, pack(packer()));
  inputs_->copy_to_device(pack(packer(*inputs_)));

  make_room(*device_, results_, result_capacity_, result_bytes());
  logits_ = reinterpret_cast<float*>(results_->device());
  losses_ = logits_ + batch_size_;
}

void batch_slot::copy_results() { results_->copy_to_host(result_bytes()); }

std::size_t batch_slot::result_bytes() const noexcept {
  return 2 * static_cast<std::size_t>(batch_size_) * sizeof(float);
}

void batch_slot::wait() {
  if (results_ != nullptr) results_->wait();
}

std::span<const float> batch_slot::host_logits() const noexcept {
  return {reinterpret_cast<const float*>(results_->host()), static_cast<std::size_t>(batch_size_)};
}

std::span<const float> batch_slot::host_losses() const noexcept {
  const auto count = static_cast<std::size_t>(batch_size_);
  return {reinterpret_cast<const float*>(results_->host()) + count, count};
}

}  // namespace warpbag::model
