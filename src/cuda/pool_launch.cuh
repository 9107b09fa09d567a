// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/error.hpp"
#include "cuda/pool_launch.hpp"
#include "kernels/pool.cuh"

namespace warpbag::cuda {

template <kernels::pool_part Part, typename Index>
void launch_pool(const launch_context& context, const operations::problem& problem) {
  constexpr auto part = static_cast<std::size_t>(Part);
  constexpr int block_warps = kernels::pool_policy::block_warps;
  const std::int64_t warps = context.pool_warps[part];
  if (warps == 0) return;
  const auto blocks = static_cast<unsigned>((warps + block_warps - 1) / block_warps);
  kernels::pool_kernel<Index, Part>
      <<<blocks, block_warps * kernels::warp_size, 0, context.stream>>>(
          context.problem, context.long_bags, problem.policy, problem.output_type,
          context.pool_records[part], context.num_pool_records[part],
          static_cast<std::uint32_t>(warps));
  check_launch("pool");
}

}  // namespace warpbag::cuda
