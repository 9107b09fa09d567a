// SPDX-License-Identifier: Apache-2.0
#pragma once
// The workspace of reduce_long_runs.cuh, which says how its places follow from occurrences.

#include "kernels/common/reduction.cuh"

namespace warpbag::kernels {

struct long_run_policy {
  // One warp adds some 10^8 gradient rows a second, so 256 of them take a few microseconds, no
  // longer than a launch.
  static constexpr std::uint32_t longest_piece = 256;
  static constexpr std::uint32_t shortest_piece = 64;
  static constexpr std::uint32_t occurrences_per_slot = 51;
  // More sums than this in a leaf are combined before the last kernel, which then adds at most
  // 64 * 4 rows a tree: some 40 us at one L2 access each.
  static constexpr std::uint32_t most_sums_in_leaf = 4;
  static constexpr std::uint32_t sums_per_slot = 5;
  // Levels above the blocks: N < 2^32 occurrences are 2^26 blocks, and 64^4 * 4 = 2^26.
  static constexpr int max_levels = 4;
  static constexpr std::uint32_t fan_in = numerics::block_occurrences;  // sums of a combination
  static constexpr int plan_threads = numerics::num_slices;             // a leaf each
  static constexpr int plan_blocks_per_multiprocessor = 16;             // 64 registers a thread
  static constexpr int piece_blocks_per_multiprocessor = 14;            // 72 registers a thread
  // 168 registers a thread: long runs are few, and with 128 their nested sums spill.
  static constexpr int finish_blocks_per_multiprocessor = 6;
  static constexpr int width_classes = widest_class + 1;  // groups of 1, 2, 4, ..., 32 lanes
};

inline constexpr std::uint32_t no_parent = 0xFFFFFFFFU;

/// Occurrences [begin, begin + count), or of a combination the slots of one level; the sum goes to
/// `slot`, and combination `parent` of the next level adds it to others.
struct piece {
  std::uint32_t begin;
  std::uint32_t count;
  std::uint32_t slot;
  std::uint32_t table;
  std::uint32_t parent;
};

/// Combinations of `sums` sums.
__device__ __forceinline__ std::uint32_t num_fans(std::uint32_t sums) {
  return (sums + long_run_policy::fan_in - 1) / long_run_policy::fan_in;
}

struct combination {
  piece sums;
  std::uint32_t arrived;  // of the sums, how many are there
};

/// The classes of group widths that the tables of a problem have.
struct width_classes {
  int count = 0;
  int log_width[long_run_policy::width_classes] = {};
};

/// 0 between calls: finish_long_runs, which does not need them any more, clears them.
struct long_run_counters {
  std::uint32_t pieces[long_run_policy::width_classes];
  std::uint32_t combinations[long_run_policy::max_levels];
};

/// In the workspace. Sizes in src/cuda/gradient_workspace.cpp.
struct long_run_work {
  long_run_counters* counters;
  std::uint32_t* leaf_begins;  // [trees of more than 256 occurrences][64]
  piece* pieces;               // [width_classes][piece_capacity]
  std::int64_t piece_capacity;
  combination* combinations[long_run_policy::max_levels];
  float* partials[long_run_policy::max_levels + 1];  // [slots][max_dim to a multiple of 4]
  std::int64_t partial_stride;

  __device__ __forceinline__ float* partial(int level, std::uint32_t slot) const {
    return partials[level] + static_cast<std::int64_t>(slot) * partial_stride;
  }
  /// A tree of more than 256 occurrences that begins at `begin`.
  __device__ __forceinline__ std::uint32_t* leaf_begins_of(std::uint32_t begin) const {
    return leaf_begins +
           std::int64_t{begin / (long_run_policy::longest_piece + 1)} * numerics::num_slices;
  }
};

__device__ __forceinline__ std::uint32_t slot_of_occurrence(std::uint32_t begin) {
  return begin / long_run_policy::occurrences_per_slot;
}

}  // namespace warpbag::kernels
