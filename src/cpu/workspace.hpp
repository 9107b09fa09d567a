// SPDX-License-Identifier: Apache-2.0
#pragma once
// Scratch memory of the CPU backend: one block, cut into arrays by the limits of reserve().

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "cpu/tuning.hpp"
#include "numerics/gradient_tree.hpp"
#include "operations/problem.hpp"
#include "warpbag/memory_resource.hpp"

namespace warpbag::cpu {

using operations::problem_limits;

/// Sums of the gradient tree that may be open above a block: levels 2 to 6 of a leaf (64^6 >
/// 2^32 occurrences), the nodes of 4 and of 16 slices, the tree of the feature, the row's total.
inline constexpr int leaf_levels = 5;
inline constexpr int open_sums = leaf_levels + 4;

/// Rows of fp32 that a thread works in. Each is padded, so that vectors may run over its end.
struct thread_rows {
  float* gradient;
  float* weight;
  float* direction;
  std::array<float*, open_sums> sums;
};
inline constexpr int rows_per_thread = 3 + open_sums;

/// Floats of a scratch row: dim rounded up to a whole round of the 32 lanes of N4, 4 elements each.
constexpr std::int64_t padded(std::int64_t dim) { return (dim + 127) / 128 * 128; }

using tuning::max_digit_bits;

/// Whether runs are found by counting the occurrences of every row.
constexpr bool counts_rows(std::int64_t rows, std::int64_t positions) {
  return rows <= std::min(tuning::most_counted_rows, positions);
}

struct workspace_arrays {
  void* sort_items[2];             // [positions] of 8 or 16 bytes
  std::uint32_t* digit_counts;     // [threads, 2^max_digit_bits]
  std::uint32_t* row_counts;       // [threads, rows] where rows are counted
  std::int64_t* thread_counts;     // [threads + 1]
  std::int64_t* rows;              // [positions] global row of each run
  std::uint32_t* run_begins;       // [positions + 1]
  std::uint32_t* positions;        // [positions] of occurrences, run by run
  std::uint32_t* bag_of_position;  // [positions] global bag
  float* scale_of_bag;             // [bags] mean: 1 / count; else 1
  std::int64_t* first_chunk;       // [max(features, tables) + 1]
  std::int64_t* longest_bag;       // [features] lookups
  std::int64_t* first_run;         // [tables + 1] runs of table t: [first_run[t], first_run[t + 1])
  std::int64_t* first_destination;  // [tables + 1] destinations of the tables before
  std::int64_t* routed_row;         // [routed: positions] of each run, row at its destination
  std::uint32_t* compact_id;        // [routed: positions] of each run
  float* slice_sums;                // [num_slices, padded(max_dim)]
  float* thread_scratch;            // [threads, rows_per_thread, padded(max_dim)]
};

class workspace {
 public:
  workspace(memory_resource& memory, int num_threads);
  workspace(const workspace&) = delete;
  workspace& operator=(const workspace&) = delete;
  ~workspace();

  static std::size_t bytes_for(const problem_limits& limits, int num_threads);

  /// Throws bad_allocation and leaves everything as it was. Contents are lost when it grows.
  void reserve(const problem_limits& limits);

  const workspace_arrays& arrays() const { return arrays_; }
  thread_rows rows_of_thread(int thread) const;
  float* slice_sum(std::int64_t slice) const { return arrays_.slice_sums + slice * row_floats_; }

 private:
  memory_resource& memory_;
  int num_threads_;
  problem_limits limits_;
  std::int64_t row_floats_ = 0;
  void* block_ = nullptr;
  std::size_t block_bytes_ = 0;
  workspace_arrays arrays_ = {};
};

}  // namespace warpbag::cpu
