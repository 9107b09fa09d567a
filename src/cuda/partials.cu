// SPDX-License-Identifier: Apache-2.0
#include "kernels/partials.cuh"

#include "cuda/error.hpp"
#include "cuda/gradient_workspace.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void split_by_subtree(const launch_context& context, const operations::problem& problem,
                      const operations::subtree_record* records) {
  if (problem.total_positions == 0) return;
  const auto split = problem.ids_type == index_type::i32
                         ? kernels::split_by_subtree_kernel<std::int32_t>
                         : kernels::split_by_subtree_kernel<std::int64_t>;
  split<<<grid_blocks(context, problem.total_positions, block_threads), block_threads, 0,
          context.stream>>>(context.problem, records);
  check_launch("split_by_subtree");
}

void pack_partials(const launch_context& context, const operations::problem& problem,
                   const operations::packed_record* tables) {
  const gradient_workspace workspace =
      divide_gradient_workspace(context.gradient_workspace, context.limits);
  const kernels::packing_work work = {context.problem, context.occurrences, tables, workspace.plan};
  kernels::pack_sums<<<grid_blocks(context, max_runs(problem), block_threads), block_threads, 0,
                       context.stream>>>(work);
  check_launch("pack_sums");
  kernels::count_packed<<<grid_blocks(context, context.problem.num_tables, block_warps),
                          block_threads, 0, context.stream>>>(work);
  check_launch("count_packed");
}

void unpack_partials(const launch_context& context, std::int64_t count, const std::int64_t* packed,
                     const std::uint32_t* occurrences, std::int64_t* rows,
                     operations::partial_record* partials) {
  if (count == 0) return;
  kernels::unpack_partials_kernel<<<grid_blocks(context, count, block_threads), block_threads, 0,
                                    context.stream>>>(context.problem.status, count, packed,
                                                      occurrences, rows, partials);
  check_launch("unpack_partials");
}

}  // namespace warpbag::cuda
