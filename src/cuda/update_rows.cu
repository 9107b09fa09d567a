// SPDX-License-Identifier: Apache-2.0
#include "kernels/update_rows.cuh"

#include "cuda/error.hpp"
#include "cuda/gradient_workspace.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void update_rows(const launch_context& context, const operations::problem& problem) {
  std::int64_t most_rows = 0;
  for (const operations::table_record& table : problem.tables) {
    if (table.gradient.form == operations::gradient_form::sparse) {
      most_rows += table.gradient.capacity;
    }
  }
  if (most_rows == 0) return;
  const gradient_workspace workspace =
      divide_gradient_workspace(context.gradient_workspace, context.limits);
  const kernels::reduction work = make_reduction(context, problem, workspace);
  kernels::plan_given_rows<<<1, kernels::table_plan_policy::threads, 0, context.stream>>>(
      work, most_rows);
  check_launch("plan_given_rows");
  constexpr int threads = kernels::gradient_walk_policy::warps_per_block * kernels::warp_size;
  kernels::update_given_rows<<<gradient_blocks(context, workspace, most_rows), threads, 0,
                               context.stream>>>(work);
  check_launch("update_given_rows");
}

}  // namespace warpbag::cuda
