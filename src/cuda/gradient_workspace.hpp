// SPDX-License-Identifier: Apache-2.0
#pragma once
// How reduce_gradients, update_rows and pool divide launch_context::gradient_workspace.

#include "cuda/launch_context.hpp"
#include "kernels/common/long_run_work.cuh"

namespace warpbag::cuda {

struct gradient_workspace {
  kernels::table_plan plan = nullptr;
  float* wide_sums = nullptr;
  std::int64_t wide_warps = 0;  // that may run at a time where wide_sums is used; 0: any number
  kernels::long_run_work longs = {};
  kernels::long_bag_work long_bags = {};  // of pool: forward and backward take turns on a stream
  std::size_t bytes = 0;
};

/// With base nullptr only the sizes mean anything.
gradient_workspace divide_gradient_workspace(void* base, const operations::problem_limits& limits);

/// What the kernels of both work on.
kernels::reduction make_reduction(const launch_context& context, const operations::problem& problem,
                                  const gradient_workspace& workspace);

/// Blocks of gradient_walk_policy::warps_per_block warps for `warps` warps of kernels that use
/// lane-private sums.
unsigned gradient_blocks(const launch_context& context, const gradient_workspace& workspace,
                         std::int64_t warps);

}  // namespace warpbag::cuda
