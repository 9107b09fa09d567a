// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/common/advance_tables.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// A thread per table.
__global__ void __launch_bounds__(256)
    advance_steps_kernel(const __grid_constant__ device_problem problem,
                         operations::gradient_form form) {
  advance_tables(problem, form, thread_index(), num_threads());
}

}  // namespace warpbag::kernels
