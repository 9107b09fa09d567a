// SPDX-License-Identifier: Apache-2.0
#pragma once
// The shape of the sum of a row's gradient (N3), apart from what is added: every backend, and every
// way of cutting the work, walks this one tree.
//
//   total      += trees of the features that share the table, in feature order
//   tree       += 4 nodes of 16 slices  += 4 nodes of 4 slices  += 4 slices (leaves)
//   leaf       =  blocks of 64 occurrences, combined level by level: 64 occurrences make a block
//   sum, 64 block sums a
//                 level-2 sum, 64 level-2 sums a level-3 sum, ... until one is left
//
// Every accumulator starts at +0 and adds its children in order; an empty child is skipped. An
// occurrence enters a block as fma(g, scale, acc).

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

inline constexpr std::int64_t num_slices = 64;
inline constexpr int slices_per_node = 4;
inline constexpr int block_occurrences =
    64;  // of a leaf, and fan-in of the levels above a block; also N2's block of lookups

/// Slice of a sample: floor(sample * 64 / batch). sample < batch < 2^57.
WARPBAG_HOST_DEVICE std::int32_t slice_of(std::int64_t sample, std::int64_t batch) {
  return static_cast<std::int32_t>(sample * num_slices / batch);
}

/// How many nested sums end between two successive occurrences of one feature's tree, by their
/// slices: 0 the leaf goes on, 1 the leaf ends, 2 its node of 4 slices too, 3 the node of 16 slices
/// too.
WARPBAG_HOST_DEVICE int sums_ended(std::int32_t slice, std::int32_t next_slice) {
  if (slice == next_slice) return 0;
  if (slice / 4 == next_slice / 4) return 1;
  if (slice / 16 == next_slice / 16) return 2;
  return 3;
}

/// Scale of an occurrence: its weight, times 1 / count for mean. The reciprocal is rounded once per
/// bag, the product once. `count` is the number of lookups that count in the bag's mean (> 0).
WARPBAG_HOST_DEVICE float mean_scale(std::int64_t count) {
  return 1.0F / static_cast<float>(count);
}

}  // namespace warpbag::numerics
