// SPDX-License-Identifier: Apache-2.0
#include "model/batch_slot.hpp"

#include <algorithm>
#include <string>
#include <type_traits>

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

/// Of the bags of one feature in all pieces; offsets of a piece begin at 0.
void write_offsets(std::span<const batch> pieces, std::size_t feature, std::int64_t* next) {
  std::int64_t before = 0;
  for (const batch& piece : pieces) {
    const std::vector<std::int64_t>& offsets = piece.features[feature].offsets;
    next = std::transform(offsets.begin(), offsets.end() - 1, next,
                          [before](std::int64_t offset) { return before + offset; });
    before += offsets.back();
  }
  *next = before;
}

}  // namespace

/// Lays arrays end to end: counts bytes while there is no memory, then copies.
class batch_slot::packer {
 public:
  packer() = default;
  explicit packer(twin_memory& memory) : memory_(&memory) {}

  std::size_t bytes() const { return bytes_; }

  /// Makes room for `count` values, has write(host) write them and returns where they are on the
  /// device.
  template <typename Value, typename Write>
  const Value* add(std::size_t count, Write&& write) {
    const std::size_t begin = bytes_;
    bytes_ += aligned(count * sizeof(Value));
    if (memory_ == nullptr) return nullptr;
    write(reinterpret_cast<Value*>(memory_->host() + begin));
    return reinterpret_cast<const Value*>(memory_->device() + begin);
  }

  /// The values_of(piece) of all pieces, one after the other.
  template <typename ValuesOf>
  auto add_pieces(std::span<const batch> pieces, ValuesOf&& values_of) {
    using value = typename std::decay_t<decltype(values_of(pieces[0]))>::value_type;
    std::size_t count = 0;
    for (const batch& piece : pieces) count += values_of(piece).size();
    return add<value>(count, [&](value* next) {
      for (const batch& piece : pieces) {
        next = std::copy(values_of(piece).begin(), values_of(piece).end(), next);
      }
    });
  }

  twin_memory* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

void batch_slot::fill(std::span<const batch> pieces, batch_part part, std::int64_t batch_size) {
  wait();
  num_samples_ = 0;
  for (const batch& piece : pieces) num_samples_ += piece.num_samples();
  batch_size_ = batch_size;
  if (num_samples_ != part.end_of(batch_size) - part.begin_of(batch_size)) {
    throw invalid_argument("batch_slot: " + std::to_string(num_samples_) + " samples for part " +
                           std::to_string(part.index) + " of " + std::to_string(part.count) +
                           " of a batch of " + std::to_string(batch_size));
  }
  const auto count = static_cast<std::size_t>(num_samples_);

  const auto pack = [&](packer packing) {
    const auto labels = [](const batch& piece) -> auto& { return piece.labels; };
    labels_ = packing.add_pieces(pieces, labels);
    bags_.clear();
    for (std::size_t f = 0; f < multi_hot_.size(); ++f) {
      const auto ids_of = [f](const batch& piece) -> auto& { return piece.features[f].ids; };
      const auto weights_of = [f](const batch& piece) -> auto& {
        return piece.features[f].weights;
      };
      std::int64_t num_ids = 0;
      std::size_t num_weights = 0;
      for (const batch& piece : pieces) {
        num_ids += static_cast<std::int64_t>(ids_of(piece).size());
        num_weights += weights_of(piece).size();
      }
      const index_view ids(packing.add_pieces(pieces, ids_of), num_ids);
      const float* const weights =
          num_weights == 0 ? nullptr : packing.add_pieces(pieces, weights_of);
      if (multi_hot_[f]) {
        const auto* const offsets = packing.add<std::int64_t>(
            count + 1, [&](std::int64_t* next) { write_offsets(pieces, f, next); });
        bags_.push_back(
            jagged_view::csr(ids, index_view(offsets, num_samples_ + 1), true, weights));
      } else {
        bags_.push_back(jagged_view::fixed(ids, num_samples_, 1, weights));
      }
    }
    for (std::size_t f = 0; f < multi_hot_.size(); ++f) bags_.push_back(bags_[f]);
    const auto write_zeros = [count](std::int64_t* zeros) { std::fill_n(zeros, count, 0); };
    const index_view zeros(packing.add<std::int64_t>(count, write_zeros), num_samples_);
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
