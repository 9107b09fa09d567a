// SPDX-License-Identifier: Apache-2.0
#pragma once
// Forward: gathers rows and pools bags (N2), all features in one launch.
//
// A group of 8, 16 or 32 lanes, as wide as the row (a quad a lane), pools one bag; a warp holds 4,
// 2 or 1 groups. Rows of more than 128 elements are cut into strips of 128, a warp each. A group
// walks its bag `group` lookups at a time: each lane loads one id and turns it into a row address,
// then all lanes take these by shuffle, eight rows in flight. Blocks of 64 lookups end between two
// such steps, because group divides 64.

#include "kernels/common/records.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

/// Rows of a bag whose loads are under way at once: 8 loads of 16 bytes a lane, or 8 to 16 narrower
/// ones.
template <int Width>
inline constexpr int pool_rows_in_flight = Width == quad_elements ? 8 : 4;

/// Rows that a group copies in mode none before the warp goes on.
inline constexpr int copied_rows = 4;

inline constexpr int pool_strip_elements = warp_size * quad_elements;

/// How the output rows of a feature are dealt to warps; the same on the host, which counts warps.
struct pool_shape {
  int group;          // lanes per output row
  int rows_per_warp;  // output rows a warp makes
  int strips;         // warps per output row
};

__host__ __device__ inline pool_shape pool_shape_of(std::int32_t dim, pooling_mode mode) {
  const int group = dim <= 32 ? 8 : (dim <= 64 ? 16 : warp_size);
  const int rows = warp_size / group * (mode == pooling_mode::none ? copied_rows : 1);
  return {group, rows, (dim + pool_strip_elements - 1) / pool_strip_elements};
}

__host__ __device__ inline std::int64_t num_output_rows(const feature_record& feature) {
  return feature.mode == pooling_mode::none ? feature.num_ids : feature.num_bags;
}

/// What lookups that read no row read instead, so that loads need no condition. Padding, skipped
/// and missing lookups may add zeros: a block that holds a zero of either sign makes the same
/// total.
__device__ const float zero_strip[pool_strip_elements] = {};

/// A lookup as the lanes of a group share it.
struct pool_lookup {
  std::int64_t offset;  // in bytes from the table's rows, to the row or to a strip of zeros
  float weight;         // 0: the lookup is not there
};

/// What an id reads. With policy zero a bad id is a row of zeros that is there.
template <typename Stored>
__device__ __forceinline__ pool_lookup lookup_of(const table_record& table, std::int64_t id,
                                                 bad_id_policy policy, std::int64_t zeros) {
  if (!in_range(table, id)) return {zeros, policy == bad_id_policy::zero ? 1.0F : 0.0F};
  if (id == table.padding_idx) return {zeros, 0.0F};
  return {id * table.row_stride * static_cast<std::int64_t>(sizeof(Stored)), 1.0F};
}

/// The bag of one group of lanes.
template <typename Index>
struct bag_lookups {
  const Index* ids;
  const float* weights;  // nullptr: all 1
  std::int64_t length;
  std::int64_t longest;  // of the bags of this warp
};

struct sum_of_rows {
  quad block = {};
  quad total = {};

  /// fma with weight 1 rounds as an addition does.
  __device__ __forceinline__ void add(const quad& x, float weight, std::int64_t) {
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      block.value[i] = numerics::fused_multiply_add(weight, x.value[i], block.value[i]);
    }
  }
  /// May be called once more at the end: the total is never -0, so adding +0 changes nothing.
  __device__ __forceinline__ void end_block() {
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) total.value[i] += block.value[i];
    block = {};
  }
};

struct max_of_rows {
  quad total = {};
  std::int32_t position[quad_elements] = {-1, -1, -1, -1};

  __device__ __forceinline__ void add(const quad& x, float present, std::int64_t i) {
    if (present == 0.0F) return;
#pragma unroll
    for (int e = 0; e < quad_elements; ++e) {
      if (position[e] < 0 || x.value[e] > total.value[e]) {
        total.value[e] = x.value[e];
        position[e] = static_cast<std::int32_t>(i);
      }
    }
  }
  __device__ __forceinline__ void end_block() {}
};

/// Adds the rows of a bag to `pooled`, in order; `column` is this lane's, `strip` the first of the
/// warp. Returns how many of the lookups that this lane classified count in a mean.
template <int Width, typename Stored, typename Index, typename Pooled>
__device__ __forceinline__ unsigned walk_bag(const bag_lookups<Index>& bag,
                                             const table_record& table, bad_id_policy policy,
                                             int group, std::int32_t strip, std::int32_t column,
                                             Pooled& pooled) {
  constexpr int in_flight = pool_rows_in_flight<Width>;
  const int lane = lane_index() % group;
  constexpr std::int64_t element_bytes = sizeof(Stored);
  const char* const rows = static_cast<const char*>(table.rows);
  const std::int64_t zeros = reinterpret_cast<std::int64_t>(zero_strip) -
                             reinterpret_cast<std::int64_t>(rows) - element_bytes * strip;
  // Whole quads: lanes beyond the row read a quad that is there, and never write it.
  constexpr bool whole = Width == quad_elements;
  const std::int32_t read_column = whole && column >= table.dim ? strip : column;
  const char* const columns = rows + element_bytes * read_column;
  const std::int32_t elements = whole ? quad_elements : table.dim - read_column;
  const bool weighted = bag.weights != nullptr;
  unsigned counted = 0;
  for (std::int64_t first = 0; first < bag.longest; first += group) {
    pool_lookup mine = {zeros, 0.0F};
    if (first + lane < bag.length) {
      mine = lookup_of<Stored>(table, std::int64_t{bag.ids[first + lane]}, policy, zeros);
      counted += mine.weight != 0.0F ? 1U : 0U;
      if (weighted && mine.offset != zeros) mine.weight = bag.weights[first + lane];
    }
    const std::int64_t left = bag.longest - first;
    const int here = left < group ? static_cast<int>(left) : group;
    for (int base = 0; base < here; base += in_flight) {
      Stored stored[in_flight][quad_elements];
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        const std::int64_t offset = __shfl_sync(full_mask, mine.offset, base + u, group);
        load_stored<Width>(stored[u], reinterpret_cast<const Stored*>(columns + offset), 0,
                           elements);
      }
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        const float weight = __shfl_sync(full_mask, mine.weight, base + u, group);
        pooled.add(widened_quad(stored[u]), weight, first + base + u);
      }
    }
    if ((first + group) % numerics::block_occurrences == 0) pooled.end_block();
  }
  pooled.end_block();
  return counted;
}

__device__ __forceinline__ void store_output(const feature_record& feature, dtype type,
                                             std::int64_t row, std::int32_t column,
                                             std::int32_t dim, const quad& values) {
  const int width = access_width(feature.output, feature.output_stride, dim, type);
  with_row_access(type, width, [&](auto access) {
    using Access = decltype(access);
    using Stored = typename Access::stored;
    Stored* output = static_cast<Stored*>(feature.output) + row * feature.output_stride;
    store_quad<Access::width>(output, column, dim, values);
  });
}

template <typename Index>
__device__ __forceinline__ void pool_max(const feature_record& feature, const table_record& table,
                                         bad_id_policy policy, const bag_lookups<Index>& lookups,
                                         int group, std::int32_t strip, std::int32_t column,
                                         std::int64_t bag, max_of_rows& pooled) {
  with_row_access(table.row_type,
                  access_width(table.rows, table.row_stride, table.dim, table.row_type),
                  [&](auto access) {
                    using Access = decltype(access);
                    walk_bag<Access::width, typename Access::stored>(lookups, table, policy, group,
                                                                     strip, column, pooled);
                  });
  if (feature.max_positions == nullptr || bag >= feature.num_bags) return;
#pragma unroll
  for (int e = 0; e < quad_elements; ++e) {
    if (column + e < table.dim) {
      feature.max_positions[bag * table.dim + column + e] = pooled.position[e];
    }
  }
}

template <typename Index>
__device__ __forceinline__ quad pool_sum(const feature_record& feature, const table_record& table,
                                         bad_id_policy policy, const bag_lookups<Index>& lookups,
                                         int group, std::int32_t strip, std::int32_t column) {
  sum_of_rows pooled;
  unsigned counted = 0;
  with_row_access(table.row_type,
                  access_width(table.rows, table.row_stride, table.dim, table.row_type),
                  [&](auto access) {
                    using Access = decltype(access);
                    counted = walk_bag<Access::width, typename Access::stored>(
                        lookups, table, policy, group, strip, column, pooled);
                  });
  if (feature.mode != pooling_mode::mean) return pooled.total;
  for (int width = group / 2; width > 0; width /= 2) {
    counted += __shfl_xor_sync(full_mask, counted, width);
  }
  if (counted == 0) return {};
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) pooled.total.value[i] /= static_cast<float>(counted);
  return pooled.total;
}

/// The bags that start at `first_bag`, one a group.
template <typename Index>
__device__ __forceinline__ void pool_bags(const feature_record& feature, const table_record& table,
                                          bad_id_policy policy, dtype output_type, int group,
                                          std::int64_t first_bag, std::int32_t strip) {
  const std::int64_t bag = first_bag + lane_index() / group;
  const std::int32_t column = strip + lane_index() % group * quad_elements;
  bag_lookups<Index> lookups = {static_cast<const Index*>(feature.ids), feature.weights, 0, 0};
  if (bag < feature.num_bags) {
    const bag_range range = range_of_bag<Index>(feature, bag);
    lookups.ids += range.begin;
    if (lookups.weights != nullptr) lookups.weights += range.begin;
    lookups.length = range.end - range.begin;
  }
  lookups.longest = lookups.length;
  for (int width = group; width < warp_size; width *= 2) {
    const std::int64_t other = __shfl_xor_sync(full_mask, lookups.longest, width);
    lookups.longest = lookups.longest < other ? other : lookups.longest;
  }
  quad result;
  if (feature.mode == pooling_mode::max) {
    max_of_rows pooled;
    pool_max(feature, table, policy, lookups, group, strip, column, bag, pooled);
    result = pooled.total;
  } else {
    result = pool_sum(feature, table, policy, lookups, group, strip, column);
  }
  if (bag < feature.num_bags) store_output(feature, output_type, bag, column, table.dim, result);
}

/// Mode none: positions first, first + groups, first + 2 groups, ... of the warp, one a group and
/// step. A row is copied (widened and narrowed); no row (bad id, beyond the last offset) is zeros.
template <typename Index>
__device__ __forceinline__ void copy_rows(const feature_record& feature, const table_record& table,
                                          dtype output_type, int group, std::int64_t first,
                                          std::int32_t strip) {
  const int groups = warp_size / group;
  const std::int32_t column = strip + lane_index() % group * quad_elements;
  const std::int64_t end = end_of_bags<Index>(feature);
  first += lane_index() / group;
  quad rows[copied_rows];
  with_row_access(table.row_type,
                  access_width(table.rows, table.row_stride, table.dim, table.row_type),
                  [&](auto access) {
                    using Access = decltype(access);
                    using Stored = typename Access::stored;
                    const auto* base = static_cast<const Stored*>(table.rows);
#pragma unroll
                    for (int u = 0; u < copied_rows; ++u) {
                      const std::int64_t position = first + u * groups;
                      std::int64_t id = -1;
                      if (position < end) id = load_index<Index>(feature.ids, position);
                      const bool there = in_range(table, id);
                      rows[u] = load_quad<Access::width>(base + (there ? id : 0) * table.row_stride,
                                                         column, there ? table.dim : 0);
                    }
                  });
#pragma unroll
  for (int u = 0; u < copied_rows; ++u) {
    const std::int64_t position = first + u * groups;
    if (position < feature.num_ids) {
      store_output(feature, output_type, position, column, table.dim, rows[u]);
    }
  }
}

/// first_warp[f]: warps of the features before f; first_warp[num_features]: of all.
template <typename Index>
__global__ void __launch_bounds__(256)
    pool_kernel(const __grid_constant__ device_problem problem, bad_id_policy policy,
                dtype output_type, const std::int64_t* first_warp) {
  if (problem.status->batch_fault != 0) return;
  const std::int64_t all = first_warp[problem.num_features];
  for (std::int64_t warp = warp_index(); warp < all; warp += num_warps()) {
    const std::int64_t number =
        last_index(problem.num_features, [&](std::int64_t f) { return first_warp[f] <= warp; });
    const feature_record& feature = problem.features[number];
    const table_record& table = problem.tables[feature.table];
    const pool_shape shape = pool_shape_of(table.dim, feature.mode);
    std::int64_t rows = warp - first_warp[number];
    std::int32_t strip = 0;
    if (shape.strips > 1) {  // strip by strip
      const std::int64_t strip_warps =
          (num_output_rows(feature) + shape.rows_per_warp - 1) / shape.rows_per_warp;
      const std::int64_t number_of_strip =
          last_index(shape.strips, [&](std::int64_t s) { return s * strip_warps <= rows; });
      rows -= number_of_strip * strip_warps;
      strip = static_cast<std::int32_t>(number_of_strip) * pool_strip_elements;
    }
    rows *= shape.rows_per_warp;
    if (feature.mode == pooling_mode::none) {
      copy_rows<Index>(feature, table, output_type, shape.group, rows, strip);
    } else {
      pool_bags<Index>(feature, table, policy, output_type, shape.group, rows, strip);
    }
  }
}

}  // namespace warpbag::kernels
