// SPDX-License-Identifier: Apache-2.0
#pragma once
// First values of tables and states. A thread makes the four columns that share a random block.

#include "kernels/common/device_problem.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/initialisation.hpp"

namespace warpbag::kernels {

template <int Width, typename Stored>
__device__ __forceinline__ void initialize_quads(const table_record& table,
                                                 numerics::init_kind kind, float scale) {
  const std::int64_t row_quads = (table.dim + quad_elements - 1) / quad_elements;
  for (std::int64_t item = thread_index(); item < table.num_rows * row_quads;
       item += num_threads()) {
    const std::int64_t row = item / row_quads;
    const auto column = static_cast<std::int32_t>(item % row_quads) * quad_elements;
    const numerics::philox_block random = numerics::random_words(
        table.seed, numerics::random_use::initialisation, table.rng_table,
        static_cast<std::uint64_t>(table.shard.id_of(row)),
        static_cast<std::uint32_t>((table.shard.first_column + column) / quad_elements), 0);
    quad values = {};
    if (row != table.padding_idx) {
      for (int i = 0; i < quad_elements; ++i) {
        values.value[i] = numerics::initial_value(kind, scale, random.word[i]);
      }
    }
    store_quad<Width>(static_cast<Stored*>(table.rows) + row * table.row_stride, column, table.dim,
                      values);
  }
}

__global__ void __launch_bounds__(256)
    initialize_rows_kernel(const __grid_constant__ table_record table, numerics::init_kind kind,
                           float scale) {
  const int width = access_width(table.rows, table.row_stride, table.dim, table.row_type);
  with_row_access(table.row_type, width, [&](auto access) {
    using Access = decltype(access);
    initialize_quads<Access::width, typename Access::stored>(table, kind, scale);
  });
}

__global__ void __launch_bounds__(256) fill_kernel(float* memory, std::int64_t count, float value) {
  for (std::int64_t i = thread_index(); i < count; i += num_threads()) memory[i] = value;
}

}  // namespace warpbag::kernels
