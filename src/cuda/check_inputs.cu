// SPDX-License-Identifier: Apache-2.0
#include "kernels/check_inputs.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

template <typename Index>
void launch(const launch_context& context, bad_id_policy policy, std::uint32_t* bag_of_position,
            float* scale_of_bag, const kernels::hot_row_work& hot) {
  const kernels::device_problem& problem = context.problem;
  const std::int64_t warps = kernels::warps_for(problem.total_positions) +
                             kernels::warps_for(problem.total_bags) +
                             kernels::warps_for(problem.num_features);
  // Two steps a warp: its start and the end of the launch cost as much as a step.
  kernels::check_inputs_kernel<Index>
      <<<grid_blocks(context, warps, 2 * block_warps), block_threads, 0, context.stream>>>(
          problem, policy, bag_of_position, scale_of_bag, hot);
  check_launch("check_inputs");
}

}  // namespace

void check_inputs(const launch_context& context, const operations::problem& problem,
                  std::uint32_t* bag_of_position, float* scale_of_bag,
                  const kernels::hot_row_work& hot) {
  if (problem.features.empty()) return;
  if (problem.ids_type == index_type::i32) {
    launch<std::int32_t>(context, problem.policy, bag_of_position, scale_of_bag, hot);
  } else {
    launch<std::int64_t>(context, problem.policy, bag_of_position, scale_of_bag, hot);
  }
}

void clear_status(cudaStream_t stream, kernels::device_status* status, bool everything) {
  kernels::clear_status_kernel<<<1, 1, 0, stream>>>(status, everything);
  check_launch("clear_status");
}

}  // namespace warpbag::cuda
