// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whole rows from a contiguous block into a table, in the widest units that divide both.

#include "kernels/common/device_problem.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// Row k of `values`, units_per_row units, goes to row rows[k] of `table`, `stride` units apart.
template <typename Unit>
__global__ void __launch_bounds__(256)
    write_rows_kernel(const device_status* status, Unit* table, std::int64_t stride,
                      const std::int64_t* rows, std::int64_t count, std::int64_t units_per_row,
                      const Unit* values) {
  if (status->batch_fault != 0) return;
  for (std::int64_t i = thread_index(); i < count * units_per_row; i += num_threads()) {
    const std::int64_t k = i / units_per_row;
    table[rows[k] * stride + (i - k * units_per_row)] = values[i];
  }
}

}  // namespace warpbag::kernels
