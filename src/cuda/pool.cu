// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

template <kernels::pool_part Part>
void launch(const launch_context& context, const operations::problem& problem) {
  constexpr auto part = static_cast<std::size_t>(Part);
  const std::int64_t warps = context.pool_warps[part];
  if (warps == 0) return;
  const auto kernel = problem.ids_type == index_type::i32
                          ? kernels::pool_kernel<std::int32_t, Part>
                          : kernels::pool_kernel<std::int64_t, Part>;
  kernel<<<grid_blocks(context, warps, block_warps), block_threads, 0, context.stream>>>(
      context.problem, problem.policy, problem.output_type, context.pool_first_warp[part]);
  check_launch("pool");
}

}  // namespace

void count_pool_warps(const operations::problem& problem, std::size_t part,
                      std::span<std::uint64_t> first_warp) {
  std::int64_t warps = 0;
  std::size_t f = 0;
  for (const operations::feature_record& feature : problem.features) {
    first_warp[f++] = static_cast<std::uint64_t>(warps);
    if (static_cast<std::size_t>(kernels::part_of(feature.mode)) != part) continue;
    const kernels::pool_shape shape = kernels::pool_shape_of(
        problem.tables[static_cast<std::size_t>(feature.table)], feature.mode);
    warps += (kernels::num_output_rows(feature) + shape.rows_per_warp - 1) / shape.rows_per_warp *
             shape.strips;
  }
  first_warp[f] = static_cast<std::uint64_t>(warps);
}

void pool(const launch_context& context, const operations::problem& problem) {
  launch<kernels::pool_part::sums>(context, problem);
  launch<kernels::pool_part::others>(context, problem);
}

}  // namespace warpbag::cuda
