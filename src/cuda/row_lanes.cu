// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_lanes.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void add_row_lanes(const launch_context& context, const operations::problem& problem,
                   operations::row_reduction which) {
  if (which == operations::row_reduction::max_norm) {
    kernels::add_norm_lanes<<<grid_blocks(context, max_runs(problem), block_warps), block_threads,
                              0, context.stream>>>(context.problem, context.occurrences);
    check_launch("add_norm_lanes");
    return;
  }
  std::int64_t most_rows = 0;
  for (const operations::table_record& table : problem.tables) {
    if (operations::has_lanes(table, which)) {
      most_rows = std::max(most_rows, table.gradient.capacity);
    }
  }
  if (most_rows == 0) return;
  kernels::add_gradient_lanes<<<grid_blocks(context, most_rows, block_warps), block_threads, 0,
                                context.stream>>>(context.problem, which);
  check_launch("add_gradient_lanes");
}

}  // namespace warpbag::cuda
