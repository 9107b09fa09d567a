// SPDX-License-Identifier: Apache-2.0
#pragma once
// The nested accumulators of numerics/gradient_tree.hpp for one lane's quad of columns.
//
// An accumulator that starts at +0 is never -0 after an addition, so adding an empty (+0) child to
// it, or passing a lone child up through empty accumulators, changes no bit: empty children need no
// test, and the sum of a whole node may enter as if it were one occurrence.

#include "kernels/common/vector_io.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

__device__ __forceinline__ void add_quad(quad& sum, const quad& x) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) sum.value[i] += x.value[i];
}

/// What ends before an occurrence, from inside out; the numbers 1 to 3 are those of
/// numerics::sums_ended.
enum ended_sums : int {
  block_ended = 0,
  leaf_ended = 1,
  node_of_4_ended = 2,
  node_of_16_ended = 3,
  tree_ended = 4
};

struct nested_sums {
  quad block = {};  // of at most 64 occurrences
  quad leaf = {};
  quad node_of_4 = {};
  quad node_of_16 = {};
  quad tree = {};
  quad total = {};
  int in_block = 0;        // occurrences in `block`; 0 only before the first one
  bool only_block = true;  // nothing has ended yet

  /// Ends the block and the sums around it up to `level`. Each level asks its own bit: a chain of
  /// early returns would become as many copies of all the sums.
  __device__ __forceinline__ void end(int level) {
    const unsigned ended = (1U << level) - 1U;
    fold(leaf, block);
    in_block = 0;
    only_block = false;
    if ((ended & 1U << block_ended) != 0) fold(node_of_4, leaf);
    if ((ended & 1U << leaf_ended) != 0) fold(node_of_16, node_of_4);
    if ((ended & 1U << node_of_4_ended) != 0) fold(tree, node_of_16);
    if ((ended & 1U << node_of_16_ended) != 0) fold(total, tree);
  }

  /// Makes room for an occurrence before which `level` sums end (0: none).
  __device__ __forceinline__ void before_occurrence(int level) {
    if (in_block == 0) return;
    if (level > 0 || in_block == numerics::block_occurrences) end(level);
  }

  /// The row's sum; starts anew. A row whose occurrences share a block skips the tree.
  __device__ __forceinline__ quad finish() {
    quad result = {};
    if (only_block) {
      fold(result, block);
    } else {
      end(tree_ended);
      fold(result, total);
    }
    in_block = 0;
    only_block = true;
    return result;
  }

 private:
  __device__ __forceinline__ static void fold(quad& parent, quad& child) {
    add_quad(parent, child);
    child = {};
  }
};

}  // namespace warpbag::kernels
