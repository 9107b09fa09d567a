// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/common/device_problem.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/optimizer_rules.hpp"

namespace warpbag::kernels {

/// A thread per table. Tables of one problem have step states of their own.
__global__ void __launch_bounds__(256)
    advance_steps_kernel(const __grid_constant__ device_problem problem,
                         operations::gradient_form form) {
  if (problem.status->batch_fault != 0) return;
  for (std::int64_t t = thread_index(); t < problem.num_tables; t += num_threads()) {
    const table_record& table = problem.tables[t];
    if (table.gradient.form == form) numerics::advance(*table.step, table.optimizer);
  }
}

}  // namespace warpbag::kernels
