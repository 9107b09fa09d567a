// SPDX-License-Identifier: Apache-2.0
#include "kernels/renormalize_rows.cuh"

#include <algorithm>

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void renormalize_rows(const launch_context& context, const operations::problem& problem) {
  const bool wanted = std::any_of(problem.tables.begin(), problem.tables.end(),
                                  [](const auto& table) { return table.renormalize; });
  if (!wanted) return;
  kernels::renormalize_rows_kernel<<<grid_blocks(context, max_runs(problem), block_warps),
                                     block_threads, 0, context.stream>>>(context.problem,
                                                                         context.occurrences);
  check_launch("renormalize_rows");
}

}  // namespace warpbag::cuda
