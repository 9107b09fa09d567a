// SPDX-License-Identifier: Apache-2.0
#include "cuda/pool_launch.cuh"

template void warpbag::cuda::launch_pool<warpbag::kernels::pool_part::others, std::int32_t>(
    const launch_context&, const warpbag::operations::problem&);
