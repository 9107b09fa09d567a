// SPDX-License-Identifier: Apache-2.0
// Sums of occurrences by the tree of numerics/gradient_tree.hpp.
//
// A segment is one block of a leaf: at most 64 occurrences, summed in registers. Above it one
// scratch row per level of the tree holds the sum that is open there. When a segment ends, the sums
// that end with it are added to it from the inside out, still in registers, and the result goes
// into the first sum that stays open. An accumulator that would hold nothing is passed over: 0 + x
// differs from x only for x = -0, and the last addition of a +0 makes that +0.
#if defined(WARPBAG_CPU_GRADIENT_SUM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef WARPBAG_CPU_GRADIENT_SUM_INL_HPP
#undef WARPBAG_CPU_GRADIENT_SUM_INL_HPP
#else
#define WARPBAG_CPU_GRADIENT_SUM_INL_HPP
#endif

#include <algorithm>

#include "cpu/gradient_rows.hpp"
#include "cpu/simd-inl.hpp"
#include "cpu/workspace.hpp"
#include "numerics/gradient_tree.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

/// Up to 64 occurrences that are summed one after another.
struct gradient_segment {
  int size = 0;
  bool has_winners = false;  // mode max: only columns that the occurrence won
  const void* gradients[numerics::block_occurrences];
  float scales[numerics::block_occurrences];
  const std::int32_t* winners[numerics::block_occurrences];
  std::int32_t positions[numerics::block_occurrences];
};

/// Where the sum of a segment goes: result = 0 + sum, then += of each row of `sums` in order.
struct segment_target {
  float* result;
  int num_sums = 0;
  const float* sums[open_sums];
};

template <typename Gradient, bool HasWinners>
struct segment_strip {
  const gradient_segment& segment;
  const segment_target& target;

  template <int Vectors, bool Partial>
  HWY_INLINE void at(std::int64_t j, std::int64_t count) const {
    floats acc[std::size_t{Vectors}];
    for (int k = 0; k < Vectors; ++k) acc[k] = hn::Zero(float_lanes);
    for (int i = 0; i < segment.size; ++i) {
      const Gradient* const gradient = static_cast<const Gradient*>(segment.gradients[i]) + j;
      const floats scale = hn::Set(float_lanes, segment.scales[i]);
      for (int k = 0; k < Vectors; ++k) {
        const std::int64_t column = k * lanes_per_vector;
        floats g;
        if constexpr (Partial) {
          g = load_first(gradient + column, count);
        } else {
          g = load(gradient + column);
        }
        const floats sum = fused_multiply_add(g, scale, acc[k]);
        acc[k] = HasWinners ? hn::IfThenElse(won<Partial>(i, j + column, count), sum, acc[k]) : sum;
      }
    }
    for (int k = 0; k < Vectors; ++k) {
      const std::int64_t column = j + k * lanes_per_vector;
      floats x = acc[k] + hn::Zero(float_lanes);
      for (int s = 0; s < target.num_sums; ++s) {
        x = hn::LoadU(float_lanes, target.sums[s] + column) + x;
      }
      hn::StoreU(x, float_lanes, target.result + column);
    }
  }

  template <bool Partial>
  HWY_INLINE hn::Mask<float_tag> won(int i, std::int64_t column, std::int64_t count) const {
    const hn::Rebind<std::int32_t, float_tag> words;
    const std::int32_t* const winners = segment.winners[i] + column;
    const auto position = hn::Set(words, segment.positions[i]);
    if constexpr (Partial) {
      std::int32_t some[std::size_t{lanes_per_vector}] = {};
      std::memcpy(some, winners, static_cast<std::size_t>(count) * sizeof(std::int32_t));
      return hn::RebindMask(float_lanes, hn::Eq(hn::LoadU(words, some), position));
    } else {
      return hn::RebindMask(float_lanes, hn::Eq(hn::LoadU(words, winners), position));
    }
  }
};

/// Adds segments into the open sums of one row.
template <typename Gradient>
class tree_adder {
 public:
  tree_adder(std::int64_t dim, const thread_rows& rows) : dim_(dim), rows_(rows) {}

  /// The segment's sum and all open sums below `level` end; what they make is added to the sum at
  /// `level`. Levels: 0 ... leaf_levels - 1 within a leaf, then the node of 4 slices, the node of
  /// 16, the tree, the total.
  void add(const gradient_segment& segment, int level) {
    segment_target target = close_below(level);
    const auto index = static_cast<std::size_t>(level);
    target.result = rows_.sums[index];
    if ((open_ >> level & 1U) != 0) target.sums[target.num_sums++] = rows_.sums[index];
    open_ |= 1U << level;
    run(segment, target);
  }

  /// Everything ends; the row's sum goes to `result`.
  void finish(const gradient_segment& segment, float* result) {
    segment_target target = close_below(open_sums);
    target.result = result;
    run(segment, target);
  }

 private:
  segment_target close_below(int level) {
    segment_target target = {};
    for (int l = 0; l < level; ++l) {
      if ((open_ >> l & 1U) != 0) {
        target.sums[target.num_sums++] = rows_.sums[static_cast<std::size_t>(l)];
      }
    }
    open_ &= ~((1U << level) - 1U);
    return target;
  }

  void run(const gradient_segment& segment, const segment_target& target) const {
    if (segment.has_winners) {
      for_each_strip(0, dim_, segment_strip<Gradient, true>{segment, target});
    } else {
      for_each_strip(0, dim_, segment_strip<Gradient, false>{segment, target});
    }
  }

  std::int64_t dim_;
  const thread_rows& rows_;
  std::uint32_t open_ = 0;  // bit l: sum l is open
};

/// Level of the first sum that stays open after `done` occurrences of a leaf (a multiple of 64)
/// when the leaf goes on.
HWY_INLINE int level_within_leaf(std::int64_t done) {
  int level = 0;
  for (std::int64_t blocks = done / numerics::block_occurrences;
       blocks % numerics::block_occurrences == 0 && level + 1 < leaf_levels;
       blocks /= numerics::block_occurrences) {
    ++level;
  }
  return level;
}

/// result = sum of the occurrences at positions[0, count) of one row. Gradient is the type of
/// output gradients.
template <typename Gradient>
void sum_occurrences(const gradient_rows& gradients, const std::uint32_t* positions,
                     std::int64_t count, std::int64_t dim, const thread_rows& rows, float* result) {
  tree_adder<Gradient> sums(dim, rows);
  gradient_segment segment;
  occurrence next = gradients.find(positions[0]);
  std::int64_t done_in_leaf = 0;
  for (std::int64_t i = 0; i < count;) {
    const occurrence first = next;
    const std::int32_t slice = count == 1 ? 0 : first.slice();
    std::int32_t next_slice = slice;
    segment.size = 0;
    segment.has_winners = first.feature->mode == pooling_mode::max;
    do {
      gradients.put(next, segment, segment.size++, dim);
      if (++i == count) {
        sums.finish(segment, result);
        return;
      }
      next = gradients.find_after(next, positions[i]);
      next_slice = next.feature == first.feature ? next.slice() : -1;
    } while (next_slice == slice && segment.size < numerics::block_occurrences);
    done_in_leaf += segment.size;
    if (next.feature != first.feature) {
      sums.add(segment, open_sums - 1);
      done_in_leaf = 0;
    } else if (next_slice == slice) {
      sums.add(segment, level_within_leaf(done_in_leaf));
    } else {
      sums.add(segment, leaf_levels - 1 + numerics::sums_ended(slice, next_slice));
      done_in_leaf = 0;
    }
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
