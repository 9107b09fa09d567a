// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sum of a row's gradient over the tree of numerics/gradient_tree.hpp, for one lane's quad of
// columns, in as few additions as the occurrences need.
//
// N3 starts every accumulator at +0 and passes a lone child up through accumulators of its own.
// Here a child becomes its parent's accumulator instead, and n occurrences cost n - 1 additions:
//
//   The rounded value of x + y and of fma(g, s, y) does not depend on the signs of operands that
//   are zero, unless the result is itself a zero (whose sign it may change). So two evaluations
//   that differ only in "+0 + x" for "x", or in the sign of zeros, differ at every node at most in
//   the sign of a zero. finish() adds +0 to the row's sum, which makes either zero +0; the rule's
//   own sum ends in an addition to +0 as well, and so is never -0. Hence the bits are equal. (x is
//   any value: +0 + inf is inf, and all NaNs count as the same.)
//
// It follows that skipping levels with one child, taking a whole node's sum for an occurrence,
// starting a block by g * s, and adding a term +0 where mode max lost an element change no bit.

#include "kernels/common/vector_io.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

__device__ __forceinline__ void add_quad(quad& sum, const quad& x) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) sum.value[i] += x.value[i];
}

/// What ends before an occurrence, from inside out.
enum ended_sum : unsigned {
  nothing_ended = 0,
  block_ended = 1,
  leaf_ended = 2,
  node_of_4_ended = 3,
  node_of_16_ended = 4,
  tree_ended = 5,
  run_ended = 6
};

/// What ends between two successive occurrences of one feature's tree, by their slices.
__device__ __forceinline__ unsigned ended_between(std::int32_t slice, std::int32_t next_slice) {
  const auto differing = static_cast<unsigned>(slice ^ next_slice);
  if (differing == 0) return nothing_ended;
  return node_of_16_ended - (differing < 16 ? 1U : 0U) - (differing < 4 ? 1U : 0U);
}

/// Sums that wait for a right neighbour, innermost on top. Where a sum of level L has ended, all
/// that waits at L or below takes it in, innermost first, and the result waits at L: a tree read
/// from left to right. Levels of what waits descend strictly, so there are at most five.
class pending_sums {
 public:
  static constexpr int most = tree_ended;

  /// `memory`: this lane's quad in `most` rows of `stride` floats.
  __device__ __forceinline__ pending_sums(float* memory, int stride)
      : free_(memory), stride_(stride) {}

  /// `sum` ended together with everything up to `level`: what belongs to it comes in.
  __device__ __forceinline__ void close(unsigned level, quad& sum) {
    while (top_ <= level) {
      free_ -= stride_;
      const float4 waiting = *reinterpret_cast<const float4*>(free_);
      add_quad(sum, {{waiting.x, waiting.y, waiting.z, waiting.w}});
      top_ = below_ & level_mask;
      below_ >>= level_bits;
    }
  }

  /// A closed sum waits for its right neighbour at `level`.
  __device__ __forceinline__ void wait(unsigned level, const quad& sum) {
    *reinterpret_cast<float4*>(free_) =
        make_float4(sum.value[0], sum.value[1], sum.value[2], sum.value[3]);
    free_ += stride_;
    below_ = below_ << level_bits | top_;
    top_ = level;
  }

  /// The row's sum, from the last of its parts.
  __device__ __forceinline__ quad finish(quad sum) {
    close(run_ended, sum);
#pragma unroll
    for (float& x : sum.value) x += 0.0F;
    return sum;
  }

 private:
  static constexpr unsigned level_bits = 4;
  static constexpr unsigned level_mask = (1U << level_bits) - 1;
  static constexpr unsigned bottom = level_mask;  // above every level

  float* free_;
  int stride_;
  unsigned top_ = bottom;
  unsigned below_ = 0;  // levels under the top one, four bits each
};

}  // namespace warpbag::kernels
