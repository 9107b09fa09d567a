// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "cpu/backend.hpp"

namespace warpbag::cpu {

void cpu_backend::write_rows(const table_record& table, const std::int64_t* rows,
                             std::int64_t count, const void* values) {
  using tuning::rows_per_chunk;
  const auto element_bytes = static_cast<std::int64_t>(size_of(table.row_type));
  const std::int64_t row_bytes = table.dim * element_bytes;
  const std::int64_t stride_bytes = table.row_stride * element_bytes;
  threads_.for_each((count + rows_per_chunk - 1) / rows_per_chunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * rows_per_chunk;
    const std::int64_t last = std::min(first + rows_per_chunk, count);
    for (std::int64_t k = first; k < last; ++k) {
      std::memcpy(static_cast<std::byte*>(table.rows) + rows[k] * stride_bytes,
                  static_cast<const std::byte*>(values) + k * row_bytes,
                  static_cast<std::size_t>(row_bytes));
    }
  });
}

}  // namespace warpbag::cpu
