// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kernels of pool, a file for each part and type of ids: they take most of the compiler's time,
// so they are compiled side by side.

#include "cuda/launch_context.hpp"
#include "kernels/common/pool_record.cuh"

namespace warpbag::cuda {

/// Does nothing where the part has no warps.
template <kernels::pool_part Part, typename Index>
void launch_pool(const launch_context& context, const operations::problem& problem);

}  // namespace warpbag::cuda
