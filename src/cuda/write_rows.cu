// SPDX-License-Identifier: Apache-2.0
#include "kernels/write_rows.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

template <typename Unit>
void launch(const launch_context& context, const operations::table_record& table,
            const std::int64_t* rows, std::int64_t count, const void* values) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(table.row_type));
  constexpr auto unit_bytes = static_cast<std::int64_t>(sizeof(Unit));
  const std::int64_t units_per_row = table.dim * element_bytes / unit_bytes;
  kernels::write_rows_kernel<Unit>
      <<<grid_blocks(context, count * units_per_row, block_threads), block_threads, 0,
         context.stream>>>(context.problem.status, static_cast<Unit*>(table.rows),
                           table.row_stride * element_bytes / unit_bytes, rows, count,
                           units_per_row, static_cast<const Unit*>(values));
  check_launch("write_rows");
}

}  // namespace

void write_rows(const launch_context& context, const operations::table_record& table,
                const std::int64_t* rows, std::int64_t count, const void* values) {
  if (count == 0) return;
  const std::size_t element_bytes = size_of(table.row_type);
  const std::size_t all = reinterpret_cast<std::size_t>(table.rows) |
                          reinterpret_cast<std::size_t>(values) |
                          static_cast<std::size_t>(table.dim) * element_bytes |
                          static_cast<std::size_t>(table.row_stride) * element_bytes;
  if (all % sizeof(uint4) == 0) {
    launch<uint4>(context, table, rows, count, values);
  } else if (all % sizeof(uint2) == 0) {
    launch<uint2>(context, table, rows, count, values);
  } else if (all % sizeof(std::uint32_t) == 0) {
    launch<std::uint32_t>(context, table, rows, count, values);
  } else {
    launch<std::uint16_t>(context, table, rows, count, values);
  }
}

}  // namespace warpbag::cuda
