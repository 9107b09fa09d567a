// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asks for rows, and what an optimizer keeps of them, ahead of their update.

#include "kernels/common/optimizer_row.cuh"

namespace warpbag::kernels {

inline constexpr int line_bytes = 128;

__device__ __forceinline__ void prefetch_line(const char* place) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(place));
}

/// Asks for rows row_of(0), ..., row_of(count - 1) of a matrix ahead of their use; the lanes of a
/// group share out the lines of all of them.
template <typename RowOf>
__device__ __forceinline__ void prefetch_lines(const void* base, std::int64_t stride_bytes,
                                               std::int32_t row_bytes, const lane_group& group,
                                               int count, RowOf row_of) {
  const unsigned lines = static_cast<unsigned>((row_bytes + line_bytes - 1) / line_bytes);
  const unsigned all = static_cast<unsigned>(count) * lines;
  for (unsigned i = static_cast<unsigned>(group.lane); i < all;
       i += static_cast<unsigned>(group.width)) {
    const unsigned which = i / lines;
    const char* const row = static_cast<const char*>(base) + row_of(which) * stride_bytes;
    prefetch_line(row + (i - which * lines) * line_bytes);
  }
}

/// Asks for what the updates of `count` rows will read.
template <typename RowOf>
__device__ __forceinline__ void prefetch_rows(const table_record& table, const lane_group& group,
                                              int count, RowOf row_of) {
  const int element_bytes = table.row_type == dtype::f32 ? 4 : 2;
  prefetch_lines(table.rows, table.row_stride * element_bytes, table.dim * element_bytes, group,
                 count, row_of);
  for (int s = 0; s < 2; ++s) {
    if (!has_element_state(table, s)) continue;
    const std::int32_t bytes = table.dim * std::int32_t{sizeof(float)};
    prefetch_lines(table.state[s], bytes, bytes, group, count, row_of);
  }
}

}  // namespace warpbag::kernels
