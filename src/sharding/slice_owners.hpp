// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which rank sums which part of the gradient tree (N3) of the global batch, which is the batches of
// all ranks in rank order. A slice is summed by the rank that has most of its samples, the lowest
// on a tie; the others send it their bags of that slice. A rank makes one partial sum of every
// maximal aligned subtree (64, 16, 4 or 1 slices) whose samples are all its own, and one of every
// slice of which some were sent to it.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "numerics/gradient_tree.hpp"

namespace warpbag::sharding {

/// Samples that `from` sends to `to`, which sums their slice. Sample numbers are global.
struct moved_samples {
  int from = 0;
  int to = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// A subtree that a rank sums. Slices without samples are skipped by the tree, so they may belong
/// to anybody's subtree.
struct owned_subtree {
  int first_slice = 0;
  int num_slices = 1;
  std::int64_t num_samples = 0;
};

struct slice_owners {
  std::int64_t batch = 0;                                 ///< samples of all ranks
  std::vector<std::int64_t> first_sample = {};            ///< [ranks + 1]
  std::array<int, numerics::num_slices> owner = {};       ///< -1: no samples
  std::array<bool, numerics::num_slices> is_cut = {};     ///< samples of several ranks
  std::vector<moved_samples> moved = {};                  ///< by slice, then by `from`
  std::vector<std::vector<owned_subtree>> subtrees = {};  ///< of each rank, ascending
};

/// `batches`: samples of each rank; may be 0.
slice_owners assign_slices(std::span<const std::int64_t> batches);

/// First sample of a slice of a batch; of slice num_slices: the batch. The inverse of slice_of.
constexpr std::int64_t first_sample_of_slice(std::int64_t slice, std::int64_t batch) {
  return (slice * batch + numerics::num_slices - 1) / numerics::num_slices;
}

}  // namespace warpbag::sharding
