// SPDX-License-Identifier: Apache-2.0
#include "cuda/pool_launch.cuh"

template void warpbag::cuda::launch_pool<warpbag::kernels::pool_part::sums, std::int64_t>(
    const launch_context&, const warpbag::operations::problem&);
