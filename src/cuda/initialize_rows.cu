// SPDX-License-Identifier: Apache-2.0
#include "kernels/initialize_rows.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void initialize_rows(const launch_context& context, const operations::table_record& table,
                     numerics::init_kind kind, float scale) {
  const std::int64_t quads = table.num_rows * ((table.dim + 3) / 4);
  kernels::initialize_rows_kernel<<<grid_blocks(context, quads, block_threads), block_threads, 0,
                                    context.stream>>>(table, kind, scale);
  check_launch("initialize_rows");
}

void fill(const launch_context& context, float* memory, std::int64_t count, float value) {
  kernels::
      fill_kernel<<<grid_blocks(context, count, block_threads), block_threads, 0, context.stream>>>(
          memory, count, value);
  check_launch("fill");
}

}  // namespace warpbag::cuda
