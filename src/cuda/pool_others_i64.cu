// SPDX-License-Identifier: Apache-2.0
#include "cuda/pool_launch.cuh"

namespace warpbag::cuda {

template <>
void launch_pool_others<std::int64_t>(const launch_context& context,
                                      const operations::problem& problem) {
  launch_pool_part<kernels::pool_part::others, std::int64_t>(context, problem);
}

}  // namespace warpbag::cuda
