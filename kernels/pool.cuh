// SPDX-License-Identifier: Apache-2.0
#pragma once
// Forward: gathers rows and pools bags (N2), all features of a part in one launch.
//
// A group of 1 to 32 lanes, as wide as the row, makes one output row; a warp holds 32 to 1 groups.
// A lane holds 16 bytes of the row where the row allows. Rows wider than a warp are cut into
// strips, a warp each. What can be decided once a feature is decided on the host (pool_shape).
//
// Modes sum and mean are a kernel of their own: the other modes need more registers.

#include "kernels/pool_pieces.cuh"

namespace warpbag::kernels {

/// Pools bags first, first + groups, ... of the warp, one a group and step. finish(bag, pooled,
/// how many lookups count in a mean).
template <lookup_kind Kind, typename Index, template <int> typename Pooled, bool Sampled = false,
          typename Format, typename Finish>
__device__ __forceinline__ void pool_bags_of_warp(const pool_job& job, const pool_rows& rows,
                                                  const lane_parts<Format>& lane, Finish finish) {
  const pool_bags<Index> bags(job.record);
  const id_rules<Index> rules(job.record, job.policy);
  const std::uint32_t groups = warp_size >> job.record.shape.log_group;
  const std::uint32_t end = rows.end_before(job.record.num_bags);
#pragma unroll 1
  for (std::uint32_t bag = rows.first + group_index(job); bag < end; bag += groups) {
    const auto range = bags[bag];
    if (range.length > pool_policy::longest_bag) continue;  // pool_pieces.cuh
    bag_walk<Format, Kind, Index, Sampled> walk = {bags.ids + range.begin, nullptr, lane, rules};
    if (Sampled) walk.hot = {job.problem.hot_lookups, job.record.first_position + range.begin};
    if (Kind == lookup_kind::weighted ||
        (Kind == lookup_kind::checked && bags.weights != nullptr)) {
      walk.weights = bags.weights + range.begin;
      __builtin_assume(__isGlobal(walk.weights));
    }
    Pooled<Format::elements> pooled;
    pool_bag(walk, range.length, pooled);
    finish(bag, pooled, Kind == lookup_kind::checked ? walk.counted : range.length);
  }
}

/// Modes sum and mean.
template <typename Format, typename Index>
__device__ __forceinline__ void pool_sums(const pool_job& job, const pool_rows& rows) {
  const lane_parts<Format> lane = lane_of<Format>(job, rows.strip);
  const pool_output<Format> output(job, lane);
  const bool mean = job.record.mode == pooling_mode::mean;
  const auto finish = [&](std::uint32_t bag, sum_of_rows<Format::elements>& pooled,
                          std::uint32_t counted) {
    if (mean) {
      // Nothing counted: nothing added, and +0 / 1 is +0.
      const auto count = static_cast<float>(counted > 0 ? counted : 1);
#pragma unroll
      for (int i = 0; i < Format::elements; ++i) pooled.total.value[i] /= count;
    }
    output.store(bag, pooled.total);
  };
  const auto pool_as = [&](auto kind) {
    if constexpr (Format::takes_hints) {
      if (job.record.sampled) {
        pool_bags_of_warp<decltype(kind)::value, Index, sum_of_rows, true>(job, rows, lane, finish);
        return;
      }
    }
    pool_bags_of_warp<decltype(kind)::value, Index, sum_of_rows>(job, rows, lane, finish);
  };
  if (rows.tiles) {
    sum_pieces_of_bags<Index>(job, rows, lane, finish);
    return;
  }
  using std::integral_constant;
  switch (job.record.shape.lookups) {
    case lookup_kind::plain: pool_as(integral_constant<lookup_kind, lookup_kind::plain>{}); return;
    case lookup_kind::weighted:
      if constexpr (Format::parts == 1) {  // pool_shape_of makes the others checked
        pool_as(integral_constant<lookup_kind, lookup_kind::weighted>{});
      }
      return;
    case lookup_kind::checked:
      pool_as(integral_constant<lookup_kind, lookup_kind::checked>{});
      return;
  }
}

/// Mode max.
template <typename Format, typename Index>
__device__ __forceinline__ void pool_max(const pool_job& job, const pool_rows& rows) {
  const lane_parts<Format> lane = lane_of<Format>(job, rows.strip);
  const pool_output<Format> output(job, lane);
  std::int32_t* const max_positions = job.record.max_positions;
  const auto finish = [&](std::uint32_t bag, const max_of_rows<Format::elements>& pooled,
                          std::uint32_t) {
    output.store(bag, pooled.total);
    if (max_positions == nullptr) return;
    std::int32_t* const positions = max_positions + std::int64_t{bag} * output.dim;
#pragma unroll
    for (int e = 0; e < Format::elements; ++e) {
      const std::int32_t column = lane.column[e / Format::width] + e % Format::width;
      if (column < output.dim) positions[column] = pooled.position[e];
    }
  };
  if (rows.tiles) {
    max_pieces_of_bags<Index>(job, rows, lane, finish);
    return;
  }
  pool_bags_of_warp<lookup_kind::checked, Index, max_of_rows>(job, rows, lane, finish);
}

/// Mode none: positions first, first + groups, first + 2 groups, ... of the warp, one a group and
/// step. A row is copied (widened and narrowed); no row (bad id, beyond the last offset) is zeros.
template <typename Format, typename Index>
__device__ __forceinline__ void copy_rows(const pool_job& job, const pool_rows& rows) {
  const lane_parts<Format> lane = lane_of<Format>(job, rows.strip);
  const pool_output<Format> output(job, lane);
  const std::uint32_t groups = warp_size >> job.record.shape.log_group;
  const pool_bags<Index> bags(job.record);
  const id_rules<Index> rules(job.record, job.policy);
  const std::uint32_t end = bags.end();
  const std::uint32_t first = rows.first + group_index(job);
  typename lane_parts<Format>::loaded stored[copied_rows];
#pragma unroll
  for (std::uint32_t u = 0; u < copied_rows; ++u) {
    const std::uint32_t position = first + u * groups;
    using number = typename id_rules<Index>::number;
    number id = rules.num_rows;  // no row
    if (position < end) id = static_cast<number>(bags.ids[position]);
    stored[u] =
        lane.load(id < rules.num_rows ? lane.row(std::uint64_t{id}) : lane.zeros(zero_strip));
  }
#pragma unroll
  for (std::uint32_t u = 0; u < copied_rows; ++u) {
    const std::uint32_t position = first + u * groups;
    if (position < bags.num_ids) {
      output.store(position, lane.widened(stored[u]));
    }
  }
}

template <pool_part Part, typename Index, typename Format>
__device__ __forceinline__ void pool_with_format(const pool_job& job, const pool_rows& rows) {
  if constexpr (Part == pool_part::sums) {
    pool_sums<Format, Index>(job, rows);
  } else if (job.record.mode == pooling_mode::max) {
    pool_max<Format, Index>(job, rows);
  } else {
    copy_rows<Format, Index>(job, rows);
  }
}

template <pool_part Part, typename Index, typename Stored>
__device__ __forceinline__ void pool_with_type(const pool_job& job, const pool_rows& rows) {
  switch (job.record.shape.width) {
    case 8:
      if constexpr (sizeof(Stored) == 2) {
        pool_with_format<Part, Index, row_format<Stored, 8>>(job, rows);
      }
      return;
    case 4: pool_with_format<Part, Index, row_format<Stored, 4>>(job, rows); return;
    case 2: pool_with_format<Part, Index, row_format<Stored, 2>>(job, rows); return;
    default: pool_with_format<Part, Index, row_format<Stored, 1>>(job, rows); return;
  }
}

/// Record of a warp; features without warps start where the next one does.
__device__ __forceinline__ std::uint32_t record_of_warp(const pool_record* records,
                                                        std::uint32_t count, std::uint32_t warp) {
  std::uint32_t low = 0;
  while (count > 1) {
    const std::uint32_t half = count / 2;
    if (records[low + half].first_warp <= warp) low += half;
    count -= half;
  }
  return low;
}

/// records: [num_records], num_warps > 0. A warp ends after its output rows: a loop over warps
/// around all this would keep every path's constants in registers.
template <typename Index, pool_part Part>
__global__ void __launch_bounds__(pool_policy::block_warps* warp_size, pool_policy::least_blocks)
    pool_kernel(const __grid_constant__ device_problem problem,
                const __grid_constant__ long_bag_work longs, bad_id_policy policy,
                dtype output_type, const pool_record* records, std::uint32_t num_records,
                std::uint32_t num_warps) {
  const std::uint32_t warp = blockIdx.x * pool_policy::block_warps + threadIdx.x / warp_size;
  if (warp >= num_warps) return;
  const pool_record record = records[record_of_warp(records, num_records, warp)];
  if (problem.status->batch_fault != 0) return;
  const pool_job job = {record, problem, longs, policy, output_type};
  const pool_shape& shape = record.shape;
  std::uint32_t of_strip = warp - record.first_warp;
  std::int32_t strip = 0;
  if (shape.strips > 1) {
    const std::uint32_t before = of_strip / record.strip_warps;
    of_strip -= before * record.strip_warps;
    strip = static_cast<std::int32_t>(before) * warp_size * max(shape.width, quad_elements);
  }
  pool_rows rows = {of_strip * shape.rows_per_warp, shape.rows_per_warp, strip, false};
  if (of_strip >= record.row_warps) {
    rows.tiles = true;
    rows.first = (of_strip - record.row_warps) * (warp_size >> shape.log_group);
  }
  switch (job.record.row_type) {
    case dtype::f32: pool_with_type<Part, Index, float>(job, rows); break;
    case dtype::f16: pool_with_type<Part, Index, numerics::f16>(job, rows); break;
    case dtype::bf16: pool_with_type<Part, Index, numerics::bf16>(job, rows); break;
  }
}

}  // namespace warpbag::kernels
