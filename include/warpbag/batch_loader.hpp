// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which samples a training step sees: the split, the order of an epoch, the batch of a step.
// All of it is computed from (seed, epoch, position) alone, so it is the same on every machine, for
// every thread count, and a resumed run needs nothing but its step number.

#include <cstdint>
#include <span>
#include <vector>

#include "warpbag/dataset.hpp"
#include "warpbag/export.hpp"

namespace warpbag {

/// A pseudo-random permutation of 0 .. size - 1 in O(1) memory: a four-round Feistel network whose
/// round function is Philox4x32-10 under (seed, stream), over the next power of four >= size,
/// walked until it falls back into range (fewer than 4 rounds of walking on average).
class WARPBAG_EXPORT permutation {
 public:
  /// Throws invalid_argument unless 0 <= size <= 2^62.
  permutation(std::int64_t size, std::uint64_t seed, std::uint32_t stream);

  /// The image of 0 <= index < size (unchecked).
  std::int64_t operator()(std::int64_t index) const noexcept;

  /// The images of first, first + 1, ..., all below size (unchecked): faster than one by one.
  void images(std::int64_t first, std::span<std::int64_t> out) const noexcept;

  std::int64_t size() const noexcept { return size_; }

 private:
  void encrypt(std::span<std::uint64_t> values) const noexcept;

  std::int64_t size_;
  std::uint64_t seed_;
  std::uint32_t stream_;
  int half_bits_;  // the network permutes 2 * half_bits_ bits
};

struct dataset_split {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
};

/// round(fraction * num_samples) samples drawn by `seed` for validation; both parts in file order.
/// Throws invalid_argument unless 0 <= fraction < 1 and the training part is not empty.
WARPBAG_EXPORT dataset_split split_by_ratio(const dataset& samples, double fraction,
                                            std::uint64_t seed);

/// The last round(fraction * num_samples) samples by time for validation (equal times: file order;
/// no times at all: file order); both parts in time order. Throws as split_by_ratio.
WARPBAG_EXPORT dataset_split split_by_time(const dataset& samples, double fraction);

struct batch_options {
  std::int64_t batch_size = 4096;
  bool shuffle = true;  ///< a new permutation in each epoch; false: the order of the samples given
  std::uint64_t seed = 1;
};

/// A part of a batch, for ranks that share it: parts 0, ..., count - 1 one after the other are the
/// batch.
struct batch_part {
  int index = 0;
  int count = 1;

  /// Of a batch of `size` samples it has [begin_of(size), end_of(size)), perhaps none.
  std::int64_t begin_of(std::int64_t size) const noexcept { return size * index / count; }
  std::int64_t end_of(std::int64_t size) const noexcept { return size * (index + 1) / count; }
};

/// The batches of a list of samples, by step number. The last batch of an epoch holds what is left.
/// Stateless after construction: load() may be called for any step, in any order, from any thread
/// (each with its own `out`).
class WARPBAG_EXPORT batch_loader {
 public:
  /// Keeps a reference to `samples`. Throws invalid_argument for a batch size < 1, no samples, or
  /// one outside the dataset.
  batch_loader(const dataset& samples, std::vector<std::int64_t> selection,
               const batch_options& options);

  std::int64_t steps_per_epoch() const noexcept { return steps_per_epoch_; }
  std::int64_t num_samples() const noexcept { return static_cast<std::int64_t>(selection_.size()); }

  /// Samples of the batch of `step` >= 0.
  std::int64_t batch_size(std::int64_t step) const;

  /// Batch of `step` >= 0, counted over all epochs: epoch = step / steps_per_epoch(); or a part.
  void load(std::int64_t step, batch& out, batch_part part = {}) const;

 private:
  std::int64_t epoch_of(std::int64_t step) const;
  /// Of the batch in the order of its epoch.
  std::int64_t first_place(std::int64_t step) const noexcept {
    return step % steps_per_epoch_ * options_.batch_size;
  }

  const dataset* dataset_;
  std::vector<std::int64_t> selection_;
  batch_options options_;
  std::int64_t steps_per_epoch_;
};

}  // namespace warpbag
