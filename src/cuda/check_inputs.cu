// SPDX-License-Identifier: Apache-2.0
#include "kernels/check_inputs.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

template <typename Index>
void launch(const launch_context& context, bad_id_policy policy, std::uint32_t* bag_of_position,
            float* scale_of_bag) {
  const kernels::device_problem& problem = context.problem;
  const std::int64_t items = problem.total_positions + problem.total_bags + problem.num_features;
  kernels::check_inputs_kernel<Index>
      <<<grid_blocks(context, items, block_threads), block_threads, 0, context.stream>>>(
          problem, policy, bag_of_position);
  check_launch("check_inputs");
  kernels::finish_inputs_kernel<Index>
      <<<grid_blocks(context, problem.total_bags, block_threads), block_threads, 0,
         context.stream>>>(problem, policy, scale_of_bag);
  check_launch("finish_inputs");
}

}  // namespace

void check_inputs(const launch_context& context, const operations::problem& problem,
                  std::uint32_t* bag_of_position, float* scale_of_bag) {
  kernels::begin_batch_kernel<<<1, 1, 0, context.stream>>>(context.problem.status);
  check_launch("begin_batch");
  if (problem.features.empty()) return;
  if (problem.ids_type == index_type::i32) {
    launch<std::int32_t>(context, problem.policy, bag_of_position, scale_of_bag);
  } else {
    launch<std::int64_t>(context, problem.policy, bag_of_position, scale_of_bag);
  }
}

void clear_status(cudaStream_t stream, kernels::device_status* status, bool everything) {
  kernels::clear_status_kernel<<<1, 1, 0, stream>>>(status, everything);
  check_launch("clear_status");
}

}  // namespace warpbag::cuda
