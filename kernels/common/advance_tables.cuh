// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/common/device_problem.cuh"
#include "numerics/optimizer_rules.hpp"

namespace warpbag::kernels {

/// Advances the steps of tables of gradient form `form`: from table `first` on every `stride`-th.
/// Tables of one problem have step states of their own.
__device__ __forceinline__ void advance_tables(const device_problem& problem,
                                               operations::gradient_form form, std::int64_t first,
                                               std::int64_t stride) {
  if (problem.status->batch_fault != 0) return;
  for (std::int64_t t = first; t < problem.num_tables; t += stride) {
    const table_record& table = problem.tables[t];
    if (table.gradient.form == form) numerics::advance(*table.step, table.optimizer);
  }
}

}  // namespace warpbag::kernels
