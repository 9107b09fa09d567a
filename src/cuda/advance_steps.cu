// SPDX-License-Identifier: Apache-2.0
#include "kernels/advance_steps.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void advance_steps(const launch_context& context, const operations::problem& problem,
                   operations::gradient_form form) {
  if (problem.tables.empty()) return;
  kernels::advance_steps_kernel<<<grid_blocks(context, std::ssize(problem.tables), block_threads),
                                  block_threads, 0, context.stream>>>(context.problem, form);
  check_launch("advance_steps");
}

}  // namespace warpbag::cuda
