// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every stage is launched with.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/common/device_problem.cuh"
#include "kernels/common/pool_record.cuh"
#include "operations/problem.hpp"

namespace warpbag::cuda {

/// Kernels that share the features of pool.
inline constexpr std::size_t num_pool_parts = 2;

struct launch_context {
  cudaStream_t stream = nullptr;
  int num_multiprocessors = 1;
  kernels::device_problem problem = {};  // records as uploaded for this call
  // Of each pool_part (kernels/pool.cuh): its features, and their warps.
  const kernels::pool_record* pool_records[num_pool_parts] = {};
  std::uint32_t num_pool_records[num_pool_parts] = {};
  std::int64_t pool_warps[num_pool_parts] = {};
  kernels::long_bag_work long_bags = {};
  kernels::device_occurrences occurrences = {};  // of the last deduplicate
  void* gradient_workspace = nullptr;            // reduce_gradients_workspace_bytes(limits)
  operations::problem_limits limits;             // what the workspace was made for
};

inline constexpr unsigned block_threads = 256;
inline constexpr int block_warps = static_cast<int>(block_threads) / 32;

/// Blocks for `items` at `items_per_block` each, at least one, and no more than keep the device
/// busy: kernels loop over their items with the grid's stride, so any grid is right. Counts that
/// live on the device are covered by their upper bound on the host.
inline unsigned grid_blocks(const launch_context& context, std::int64_t items,
                            std::int64_t items_per_block) {
  const std::int64_t wanted = (items + items_per_block - 1) / items_per_block;
  const std::int64_t enough = std::int64_t{context.num_multiprocessors} * 32;
  return static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, enough));
}

/// No more runs than this can come out of deduplicate.
inline std::int64_t max_runs(const operations::problem& problem) {
  return std::min(problem.total_positions, problem.total_rows);
}

}  // namespace warpbag::cuda
