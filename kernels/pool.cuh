// SPDX-License-Identifier: Apache-2.0
#pragma once
// Forward: gathers rows and pools bags (N2), all features of a part in one launch.
//
// A group of 4 to 32 lanes, as wide as the row, pools one bag; a warp holds 8 to 1 groups. A lane
// holds 16 bytes of the row where the row allows: a quad of fp32, an octet of fp16 or bf16, else a
// quad. Rows wider than a warp are cut into strips, a warp each.
//
// Modes sum and mean are a kernel of their own, held to 80 registers (three blocks of 256 threads a
// multiprocessor); the other modes need half as many again, and no more is asked of them.

#include "kernels/common/bag_walk.cuh"

namespace warpbag::kernels {

/// Rows of a bag whose loads are under way at once: 8 loads of 16 bytes a lane, or 8 to 16 narrower
/// ones.
template <int Width>
inline constexpr int pool_rows_in_flight = Width >= quad_elements ? 8 : 4;

/// Rows that a group copies in mode none before the warp goes on.
inline constexpr int copied_rows = 4;

/// Which kernel serves a feature.
enum class pool_part { sums, others };

__host__ __device__ inline pool_part part_of(pooling_mode mode) {
  return mode == pooling_mode::sum || mode == pooling_mode::mean ? pool_part::sums
                                                                 : pool_part::others;
}

/// How the output rows of a feature are dealt to warps; the same on the host, which counts warps.
struct pool_shape {
  int elements;       // per lane
  int log_group;      // log2 of the lanes per output row
  int rows_per_warp;  // output rows a warp makes
  int strips;         // warps per output row
};

__host__ __device__ inline pool_shape pool_shape_of(const table_record& table, pooling_mode mode) {
  const std::int32_t dim = table.dim;
  const bool octets = has_octets(table.rows, table.row_stride, dim, table.row_type);
  const int elements = octets ? octet_elements : quad_elements;
  const int log_quads = dim <= 32 ? 3 : (dim <= 64 ? 4 : 5);
  const int log_octets = dim <= 128 ? log_quads - 1 : 5;
  const int log_group = octets ? log_octets : log_quads;
  const int rows = (warp_size >> log_group) * (mode == pooling_mode::none ? copied_rows : 1);
  const int strip = warp_size * elements;
  return {elements, log_group, rows, (dim + strip - 1) / strip};
}

__host__ __device__ inline std::int64_t num_output_rows(const feature_record& feature) {
  return feature.mode == pooling_mode::none ? feature.num_ids : feature.num_bags;
}

/// Calls function(row_access) for the rows of a table whose pool_shape has `Elements`.
template <int Elements, typename Function>
__device__ __forceinline__ void with_rows(const table_record& table, Function&& function) {
  if constexpr (Elements == octet_elements) {
    with_octet_access(table.row_type, function);
  } else {
    with_row_access(table.row_type,
                    access_width(table.rows, table.row_stride, table.dim, table.row_type),
                    function);
  }
}

/// walk_bag for whatever the table's rows are.
template <typename Index, int Elements, template <int> typename Pooled>
__device__ __forceinline__ unsigned pool_rows(const bag_lookups<Index>& bag,
                                              const table_record& table, bad_id_policy policy,
                                              const bag_lanes& lanes, Pooled<Elements>& pooled) {
  unsigned counted = 0;
  with_rows<Elements>(table, [&](auto access) {
    using Access = decltype(access);
    using Stored = typename Access::stored;
    constexpr int in_flight = pool_rows_in_flight<Access::width>;
    if constexpr (Elements == octet_elements) {
      if (lanes.group.width < in_flight) {  // a step has no more lookups; eight bags are under way
        counted = walk_bag<Access::width, in_flight / 2, Stored>(bag, table, policy, lanes, pooled);
        return;
      }
    }
    counted = walk_bag<Access::width, in_flight, Stored>(bag, table, policy, lanes, pooled);
  });
  return counted;
}

template <int Elements>
__device__ __forceinline__ void store_output(const feature_record& feature, dtype type,
                                             std::int64_t row, std::int32_t column,
                                             std::int32_t dim,
                                             const lane_values<Elements>& values) {
  const auto store = [&](auto access) {
    using Access = decltype(access);
    auto* const output = static_cast<typename Access::stored*>(feature.output);
    store_values<Access::width>(output + row * feature.output_stride, column, dim, values);
  };
  if constexpr (Elements == octet_elements) {
    if (has_octets(feature.output, feature.output_stride, dim, type)) {
      with_octet_access(type, store);
      return;
    }
  }
  with_row_access(type, access_width(feature.output, feature.output_stride, dim, type), store);
}

/// Bag `bag` of a feature, or no lookups where there is no such bag.
template <typename Index>
__device__ __forceinline__ bag_lookups<Index> lookups_of_bag(const feature_record& feature,
                                                             std::int64_t bag,
                                                             const lane_group& group) {
  bag_lookups<Index> lookups = {static_cast<const Index*>(feature.ids), feature.weights, 0, 0};
  if (bag < feature.num_bags) {
    const bag_range range = range_of_bag<Index>(feature, bag);
    lookups.ids += range.begin;
    if (lookups.weights != nullptr) lookups.weights += range.begin;
    lookups.length = static_cast<std::uint32_t>(range.end - range.begin);
  }
  lookups.longest = lookups.length;
  for (int width = group.width; width < warp_size; width *= 2) {
    const std::uint32_t other = __shfl_xor_sync(full_mask, lookups.longest, width);
    lookups.longest = lookups.longest < other ? other : lookups.longest;
  }
  return lookups;
}

/// What the warps of a feature need to know.
struct pool_job {
  const feature_record& feature;
  const table_record& table;
  bad_id_policy policy;
  dtype output_type;
};

/// Modes sum and mean: the bags that start at `first_bag`, one a group.
template <typename Index, int Elements>
__device__ __forceinline__ void pool_sums(const pool_job& job, int log_group,
                                          std::int64_t first_bag, std::int32_t strip) {
  const bag_lanes lanes = bag_lanes::of<Elements>(log_group, strip);
  const std::int64_t bag = first_bag + lanes.group.index;
  const auto lookups = lookups_of_bag<Index>(job.feature, bag, lanes.group);
  sum_of_rows<Elements> pooled;
  unsigned counted = pool_rows(lookups, job.table, job.policy, lanes, pooled);
  if (job.feature.mode == pooling_mode::mean) {
    for (int width = lanes.group.width / 2; width > 0; width /= 2) {
      counted += __shfl_xor_sync(full_mask, counted, width);
    }
    // Nothing counted: nothing added, and +0 / 1 is +0.
    const auto count = static_cast<float>(counted > 0 ? counted : 1);
#pragma unroll
    for (int i = 0; i < Elements; ++i) pooled.total.value[i] /= count;
  }
  if (bag < job.feature.num_bags) {
    store_output(job.feature, job.output_type, bag, lanes.column, job.table.dim, pooled.total);
  }
}

/// Mode max: the same bags.
template <typename Index, int Elements>
__device__ __forceinline__ void pool_max(const pool_job& job, int log_group, std::int64_t first_bag,
                                         std::int32_t strip) {
  const bag_lanes lanes = bag_lanes::of<Elements>(log_group, strip);
  const std::int64_t bag = first_bag + lanes.group.index;
  const std::int32_t dim = job.table.dim;
  const auto lookups = lookups_of_bag<Index>(job.feature, bag, lanes.group);
  max_of_rows<Elements> pooled;
  pool_rows(lookups, job.table, job.policy, lanes, pooled);
  if (bag >= job.feature.num_bags) return;
  store_output(job.feature, job.output_type, bag, lanes.column, dim, pooled.total);
  if (job.feature.max_positions == nullptr) return;
#pragma unroll
  for (int e = 0; e < Elements; ++e) {
    if (lanes.column + e < dim) {
      job.feature.max_positions[bag * dim + lanes.column + e] = pooled.position[e];
    }
  }
}

/// Mode none: positions first, first + groups, first + 2 groups, ... of the warp, one a group and
/// step. A row is copied (widened and narrowed); no row (bad id, beyond the last offset) is zeros.
template <typename Index, int Elements>
__device__ __forceinline__ void copy_rows(const pool_job& job, int log_group, std::int64_t first,
                                          std::int32_t strip) {
  const bag_lanes lanes = bag_lanes::of<Elements>(log_group, strip);
  const int groups = warp_size >> log_group;
  const std::int64_t end = end_of_bags<Index>(job.feature);
  first += lanes.group.index;
  lane_values<Elements> rows[copied_rows];
  with_rows<Elements>(job.table, [&](auto access) {
    using Access = decltype(access);
    using Stored = typename Access::stored;
    const auto* base = static_cast<const Stored*>(job.table.rows);
    Stored stored[copied_rows][Elements];
#pragma unroll
    for (int u = 0; u < copied_rows; ++u) {
      const std::int64_t position = first + u * groups;
      std::int64_t id = -1;
      if (position < end) id = load_index<Index>(job.feature.ids, position);
      const bool there = in_range(job.table, id);
      load_stored<Access::width>(stored[u], base + (there ? id : 0) * job.table.row_stride,
                                 lanes.column, there ? job.table.dim : 0);
    }
#pragma unroll
    for (int u = 0; u < copied_rows; ++u) rows[u] = widened_values(stored[u]);
  });
#pragma unroll
  for (int u = 0; u < copied_rows; ++u) {
    const std::int64_t position = first + u * groups;
    if (position < job.feature.num_ids) {
      store_output(job.feature, job.output_type, position, lanes.column, job.table.dim, rows[u]);
    }
  }
}

template <typename Index, pool_part Part, int Elements>
__device__ __forceinline__ void pool_part_of_feature(const pool_job& job, int log_group,
                                                     std::int64_t first, std::int32_t strip) {
  if constexpr (Part == pool_part::sums) {
    pool_sums<Index, Elements>(job, log_group, first, strip);
  } else if (job.feature.mode == pooling_mode::max) {
    pool_max<Index, Elements>(job, log_group, first, strip);
  } else {
    copy_rows<Index, Elements>(job, log_group, first, strip);
  }
}

/// first_warp[f]: warps of the features before f that are of this part; first_warp[num_features]:
/// of all.
template <typename Index, pool_part Part>
__global__ void __launch_bounds__(256, Part == pool_part::sums ? 3 : 2)
    pool_kernel(const __grid_constant__ device_problem problem, bad_id_policy policy,
                dtype output_type, const std::int64_t* first_warp) {
  if (problem.status->batch_fault != 0) return;
  const std::int64_t all = first_warp[problem.num_features];
  for (std::int64_t warp = warp_index(); warp < all; warp += num_warps()) {
    const std::int64_t number =
        last_index(problem.num_features, [&](std::int64_t f) { return first_warp[f] <= warp; });
    const feature_record& feature = problem.features[number];
    const table_record& table = problem.tables[feature.table];
    const pool_shape shape = pool_shape_of(table, feature.mode);
    std::int64_t rows = warp - first_warp[number];
    std::int32_t strip = 0;
    if (shape.strips > 1) {  // strip by strip
      const std::int64_t strip_warps =
          (num_output_rows(feature) + shape.rows_per_warp - 1) / shape.rows_per_warp;
      const std::int64_t number_of_strip =
          last_index(shape.strips, [&](std::int64_t s) { return s * strip_warps <= rows; });
      rows -= number_of_strip * strip_warps;
      strip = static_cast<std::int32_t>(number_of_strip) * warp_size * shape.elements;
    }
    rows *= shape.rows_per_warp;
    const pool_job job = {feature, table, policy, output_type};
    if (shape.elements == octet_elements) {
      pool_part_of_feature<Index, Part, octet_elements>(job, shape.log_group, rows, strip);
    } else {
      pool_part_of_feature<Index, Part, quad_elements>(job, shape.log_group, rows, strip);
    }
  }
}

}  // namespace warpbag::kernels
