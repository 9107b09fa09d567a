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

/// Number of a slice of a feature: the leaves of all trees, one tree after another.
__device__ __forceinline__ unsigned leaf_number(std::int32_t feature, std::int32_t slice) {
  return static_cast<unsigned>(feature * numerics::num_slices + slice);
}

/// What ends between two successive occurrences, by their leaves: a level for each digit to base 4
/// (numerics::slices_per_node) up to the highest in which they differ.
__device__ __forceinline__ unsigned ended_between(unsigned leaf, unsigned next_leaf) {
  const unsigned differing = leaf ^ next_leaf;
  const unsigned digit = static_cast<unsigned>(31 - __clz(static_cast<int>(differing))) / 2;
  return differing == 0 ? nothing_ended
                        : leaf_ended + min(digit, static_cast<unsigned>(tree_ended - leaf_ended));
}

/// All sums up to `level`, a bit each.
__host__ __device__ constexpr unsigned sums_up_to(unsigned level) { return (1U << level) - 1; }

/// Sums that wait for a right neighbour, innermost on top. Where a sum of level L has ended, all
/// that waits at L or below takes it in, innermost first, and the result waits at L: a tree read
/// from left to right. Levels of what waits descend strictly, so there are at most five, and a bit
/// for each says it all.
class pending_sums {
 public:
  static constexpr int most = tree_ended;

  /// `memory`: this lane's quad in `most` rows of `stride` floats.
  __device__ __forceinline__ pending_sums(float* memory, int stride)
      : free_(memory), stride_(stride) {}

  /// `sum` ended together with `ended`, which is sums_up_to() some level: what belongs to it comes
  /// in. Bits of `ended` above the levels do nothing.
  __device__ __forceinline__ void close(unsigned ended, quad& sum) {
    while ((waiting_ & ended) != 0) {
      waiting_ &= waiting_ - 1;
      free_ -= stride_;
      const float4 top = *reinterpret_cast<const float4*>(free_);
      add_quad(sum, {{top.x, top.y, top.z, top.w}});
    }
  }

  /// A closed sum waits for its right neighbour, at the highest of the levels that ended.
  __device__ __forceinline__ void wait(unsigned ended, const quad& sum) {
    *reinterpret_cast<float4*>(free_) =
        make_float4(sum.value[0], sum.value[1], sum.value[2], sum.value[3]);
    free_ += stride_;
    waiting_ += ended - ended / 2;
  }

  /// The row's sum, from the last of its parts.
  __device__ __forceinline__ quad finish(quad sum) {
    close(sums_up_to(run_ended), sum);
    return finished(sum);
  }
  /// The same where everything is closed.
  __device__ __forceinline__ static quad finished(quad sum) {
#pragma unroll
    for (float& x : sum.value) x += 0.0F;
    return sum;
  }

 private:
  float* free_;
  int stride_;
  unsigned waiting_ = 0;  // bit L - 1: a sum waits at level L
};

}  // namespace warpbag::kernels
