// SPDX-License-Identifier: Apache-2.0
#include "cuda/error.hpp"
#include "cuda/stages.hpp"
#include "kernels/pool.cuh"

namespace warpbag::cuda {

void count_pool_warps(const operations::problem& problem, std::span<std::uint64_t> first_warp) {
  std::int64_t warps = 0;
  std::size_t f = 0;
  for (const operations::feature_record& feature : problem.features) {
    const std::int32_t dim = problem.tables[static_cast<std::size_t>(feature.table)].dim;
    const kernels::pool_shape shape = kernels::pool_shape_of(dim, feature.mode);
    first_warp[f++] = static_cast<std::uint64_t>(warps);
    warps += (kernels::num_output_rows(feature) + shape.rows_per_warp - 1) / shape.rows_per_warp *
             shape.strips;
  }
  first_warp[f] = static_cast<std::uint64_t>(warps);
}

void pool(const launch_context& context, const operations::problem& problem) {
  const auto kernel = problem.ids_type == index_type::i32 ? kernels::pool_kernel<std::int32_t>
                                                          : kernels::pool_kernel<std::int64_t>;
  if (context.pool_warps == 0) return;
  kernel<<<grid_blocks(context, context.pool_warps, block_warps), block_threads, 0,
           context.stream>>>(context.problem, problem.policy, problem.output_type,
                             context.pool_first_warp);
  check_launch("pool");
}

}  // namespace warpbag::cuda
