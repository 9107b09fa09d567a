// SPDX-License-Identifier: Apache-2.0
#pragma once
// The occurrences of a chunk of runs, looked up some way ahead of their sums: finding an
// occurrence's gradient row takes memory reads that depend on each other, and the row itself comes
// from anywhere in the batch.

#include <array>

#include "cpu/gradient_rows.hpp"
#include "cpu/tuning.hpp"

namespace warpbag::cpu {

/// numerics::slice_of for the samples of one feature. The division by the batch, which would cost
/// more than the sum of a narrow row, is a multiplication by its reciprocal: for n, d < 2^32,
/// floor(n / d) is the upper half of n * ceil(2^64 / d).
class slice_finder {
 public:
  explicit slice_finder(std::int64_t batch)
      : batch_(batch),
        reciprocal_(batch < largest ? ~std::uint64_t{0} / static_cast<std::uint64_t>(batch) + 1
                                    : 0) {}

  std::int32_t operator()(std::int64_t sample) const {
    if (batch_ >= largest) return numerics::slice_of(sample, batch_);
    const auto scaled = static_cast<std::uint64_t>(sample * numerics::num_slices);
    return static_cast<std::int32_t>(static_cast<unsigned __int128>(scaled) * reciprocal_ >>
                                     64);  // batch 1: 2^64 became 0
  }

 private:
  static constexpr std::int64_t largest = (std::int64_t{1} << 32) / numerics::num_slices;
  std::int64_t batch_;
  std::uint64_t reciprocal_;
};

/// Occurrences [0, size) of one run; all live in the window.
struct windowed_run {
  const void* const* gradients;
  const float* scales;
  std::uint8_t* ended;  // sums that end with each: 0 none, then leaf, node, node, tree
  std::int64_t size;
};

class occurrence_window {
 public:
  /// Longer runs do not fit.
  static constexpr std::int64_t longest_run = tuning::longest_windowed_run;

  /// The runs end at occurrence `end`.
  occurrence_window(const gradient_rows& gradients, const workspace_arrays& arrays,
                    std::int64_t end)
      : gradients_(gradients), arrays_(arrays), last_(end - 1) {}

  /// Whether the sums of a table's rows can be made from windowed runs.
  static bool serves(const problem& problem, std::size_t table) {
    for (const feature_record& feature : problem.features) {
      if (static_cast<std::size_t>(feature.table) != table) continue;
      if (feature.mode == pooling_mode::max || feature.partials != nullptr) return false;
    }
    return true;
  }

  std::int64_t filled() const { return filled_; }

  /// Looks up the occurrences [begin, end) of the next run; ask(gradient) asks for the row.
  template <typename Ask>
  void add_run(std::int64_t begin, std::int64_t end, Ask ask) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t ahead = std::min(i + tuning::bags_ahead, last_);
      __builtin_prefetch(arrays_.bag_of_position + arrays_.positions[ahead]);
      const occurrence o = look_up(arrays_.positions[i]);
      const auto slot = static_cast<std::size_t>(filled_++);
      gradient_[slot] = gradients_.gradient(o);
      scale_[slot] = gradients_.scale(o);
      leaf_[slot] =
          first_leaf_ + static_cast<std::uint32_t>(slice_(feature_->first_sample + o.bag));
      ask(gradient_[slot]);
    }
  }

  /// The run whose first occurrence is the window's `first`-th. False: some leaf has more than a
  /// block.
  bool get(std::int64_t first, std::int64_t size, windowed_run& run) {
    run = {&gradient_[std::size_t(first)], &scale_[std::size_t(first)], &ended_[std::size_t(first)],
           size};
    const std::uint32_t* const leaves = &leaf_[std::size_t(first)];
    // Leaves ascend: one of more than a block is the same at both ends of some block and one.
    for (std::int64_t i = 0; i + numerics::block_occurrences < size; ++i) {
      if (leaves[i] == leaves[i + numerics::block_occurrences]) return false;
    }
    for (std::int64_t i = 0; i + 1 < size; ++i) {
      // The highest digit of base 4 that changes tells what ends; a feature has three.
      const std::uint32_t change = leaves[i] ^ leaves[i + 1];
      run.ended[i] =
          static_cast<std::uint8_t>((change > 0) + (change > 3) + (change > 15) + (change > 63));
    }
    run.ended[size - 1] = all_ended;
    return true;
  }

 private:
  static constexpr std::int64_t capacity = tuning::occurrences_per_chunk + longest_run;
  static constexpr int all_ended = 4;

  occurrence look_up(std::uint32_t position) {
    const bool same = feature_ != nullptr && position >= feature_->first_position &&
                      position < feature_->first_position + feature_->num_ids;
    if (same) return gradients_.find_in(feature_, position);
    const occurrence found = gradients_.find(position);
    feature_ = found.feature;
    slice_ = slice_finder(feature_->batch);
    first_leaf_ = gradients_.number_of(feature_) * numerics::num_slices;
    return found;
  }

  const gradient_rows& gradients_;
  const workspace_arrays& arrays_;
  std::int64_t last_;
  const feature_record* feature_ = nullptr;
  slice_finder slice_{1};
  std::uint32_t first_leaf_ = 0;  // of the feature
  std::int64_t filled_ = 0;
  std::array<const void*, capacity> gradient_;
  std::array<float, capacity> scale_;
  std::array<std::uint32_t, capacity> leaf_;  // slices of all features, counted on
  std::array<std::uint8_t, capacity> ended_;
};

}  // namespace warpbag::cpu
