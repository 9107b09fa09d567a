// SPDX-License-Identifier: Apache-2.0
#pragma once
// Forward: gathers rows and pools bags (N2), all features of a part in one launch.
//
// A group of 1 to 32 lanes, as wide as the row, makes one output row; a warp holds 32 to 1 groups.
// A lane holds 16 bytes of the row where the row allows. Rows wider than a warp are cut into
// strips, a warp each. What can be decided once a feature is decided on the host (pool_shape).
//
// Modes sum and mean are a kernel of their own: the other modes need more registers.

#include "kernels/common/bag_walk.cuh"
#include "kernels/common/pool_share.cuh"

namespace warpbag::kernels {

/// What the warps of a feature need to know.
struct pool_job {
  const feature_record& feature;
  const table_record& table;
  pool_shape shape;
  bad_id_policy policy;
  dtype output_type;
};

/// Output rows of a warp, a strip of them.
struct pool_rows {
  std::uint32_t first;
  std::uint32_t count;
  std::int32_t strip;

  __device__ __forceinline__ std::uint32_t end_before(std::int64_t all) const {
    const auto most = static_cast<std::uint32_t>(all);
    return most - first < count ? most : first + count;
  }
};

/// Which of the warp's groups this lane is in.
__device__ __forceinline__ std::uint32_t group_index(const pool_job& job) {
  return static_cast<std::uint32_t>(lane_index()) >> job.shape.log_group;
}

/// Where this lane's parts of output rows go. Copied out of the records, which would be read again
/// after every store.
template <typename Format>
struct pool_output {
  const lane_parts<Format>& lane;
  void* rows;
  std::int64_t stride;
  std::int32_t dim;
  dtype type;
  bool whole;
  std::uint32_t row_bytes;
  std::uint32_t bytes_to_next;  // from one part to the next
  global_address first = 0;     // this lane's first part in row 0
  int usual_parts = -1;         // fp32, whole, rows below 4 GiB: parts that are columns of the row

  __device__ __forceinline__ pool_output(const pool_job& job, const lane_parts<Format>& lane)
      : lane(lane),
        rows(job.feature.output),
        stride(job.feature.output_stride),
        dim(job.table.dim),
        type(job.output_type),
        whole(job.shape.whole_output),
        row_bytes(static_cast<std::uint32_t>(stride) * 4),
        bytes_to_next((Format::width * 4U) << job.shape.log_group) {
    __builtin_assume(__isGlobal(rows));
    if (type == dtype::f32 && whole && stride < (std::int64_t{1} << 30)) {
      first = to_global(static_cast<const float*>(rows) + lane.column[0]);
      usual_parts = 0;
#pragma unroll
      for (int p = 0; p < Format::parts; ++p) usual_parts += lane.column[p] < dim ? 1 : 0;
    }
    // Else they are worked out again for every row.
    asm volatile("" : "+l"(first), "+r"(usual_parts));
  }

  __device__ __forceinline__ void store(std::uint32_t row,
                                        const lane_values<Format::elements>& values) const {
    if (usual_parts >= 0) {
      lane_parts<Format>::store_floats(address_of(first, row, row_bytes), bytes_to_next,
                                       usual_parts, values);
      return;
    }
    switch (type) {
      case dtype::f32: store_as<float>(row, values); return;
      case dtype::f16: store_as<numerics::f16>(row, values); return;
      case dtype::bf16: store_as<numerics::bf16>(row, values); return;
    }
  }

 private:
  template <typename Stored>
  __device__ __forceinline__ void store_as(std::uint32_t row,
                                           const lane_values<Format::elements>& values) const {
    constexpr int widest = 16 / static_cast<int>(sizeof(Stored));
    constexpr int width = Format::width < widest ? Format::width : widest;
    auto* const output = static_cast<Stored*>(rows) + row * stride;
    if (whole && sizeof(Stored) == 2) {
      lane.template store<Stored, width>(output, dim, values);
    } else {
      lane.template store<Stored, 1>(output, dim, values);
    }
  }
};

/// The bags of a feature, likewise. A batch has fewer than 2^32 - 1 positions.
template <typename Index>
struct pool_bags {
  const Index* ids;
  const Index* offsets;  // nullptr: fixed hotness
  const float* weights;  // nullptr: all 1
  std::uint32_t hotness;
  std::uint32_t open_bag;  // ends with the ids
  std::uint32_t num_ids;

  struct range {
    std::uint32_t begin;
    std::uint32_t length;
  };

  __device__ __forceinline__ explicit pool_bags(const feature_record& feature)
      : ids(static_cast<const Index*>(feature.ids)),
        offsets(static_cast<const Index*>(feature.offsets)),
        weights(feature.weights),
        hotness(static_cast<std::uint32_t>(feature.hotness)),
        open_bag(feature.has_last_offset ? no_bag
                                         : static_cast<std::uint32_t>(feature.num_bags) - 1),
        num_ids(static_cast<std::uint32_t>(feature.num_ids)) {
    __builtin_assume(__isGlobal(ids));
  }

  __device__ __forceinline__ range operator[](std::uint32_t bag) const {
    if (offsets == nullptr) return {bag * hotness, hotness};
    __builtin_assume(__isGlobal(offsets));
    const auto begin = static_cast<std::uint32_t>(offsets[bag]);
    const std::uint32_t end =
        bag == open_bag ? num_ids : static_cast<std::uint32_t>(offsets[std::uint64_t{bag} + 1]);
    return {begin, end - begin};
  }
};

template <typename Format>
__device__ __forceinline__ lane_parts<Format> lane_of(const pool_job& job, std::int32_t strip) {
  return {job.table.rows, job.table.row_stride, job.table.dim, job.shape.log_group, strip};
}

/// Pools bags first, first + groups, ... of the warp, one a group and step. finish(bag, pooled,
/// how many lookups count in a mean).
template <lookup_kind Kind, typename Index, template <int> typename Pooled, typename Format,
          typename Finish>
__device__ __forceinline__ void pool_bags_of_warp(const pool_job& job, const pool_rows& rows,
                                                  const lane_parts<Format>& lane, Finish finish) {
  const pool_bags<Index> bags(job.feature);
  const id_rules<Index> rules(job.table, job.policy);
  const std::uint32_t groups = warp_size >> job.shape.log_group;
  const std::uint32_t end = rows.end_before(job.feature.num_bags);
#pragma unroll 1
  for (std::uint32_t bag = rows.first + group_index(job); bag < end; bag += groups) {
    const auto range = bags[bag];
    bag_walk<Format, Kind, Index> walk = {bags.ids + range.begin, nullptr, lane, rules};
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
  const bool mean = job.feature.mode == pooling_mode::mean;
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
    pool_bags_of_warp<decltype(kind)::value, Index, sum_of_rows>(job, rows, lane, finish);
  };
  using std::integral_constant;
  switch (job.shape.lookups) {
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
  std::int32_t* const max_positions = job.feature.max_positions;
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
  pool_bags_of_warp<lookup_kind::checked, Index, max_of_rows>(job, rows, lane, finish);
}

/// Mode none: positions first, first + groups, first + 2 groups, ... of the warp, one a group and
/// step. A row is copied (widened and narrowed); no row (bad id, beyond the last offset) is zeros.
template <typename Format, typename Index>
__device__ __forceinline__ void copy_rows(const pool_job& job, const pool_rows& rows) {
  const lane_parts<Format> lane = lane_of<Format>(job, rows.strip);
  const pool_output<Format> output(job, lane);
  const std::uint32_t groups = warp_size >> job.shape.log_group;
  const std::int64_t end = end_of_bags<Index>(job.feature);
  const std::uint32_t first = rows.first + group_index(job);
  typename lane_parts<Format>::loaded stored[copied_rows];
#pragma unroll
  for (std::uint32_t u = 0; u < copied_rows; ++u) {
    const std::int64_t position = std::int64_t{first} + u * groups;
    std::int64_t id = -1;
    if (position < end) id = load_index<Index>(job.feature.ids, position);
    stored[u] = lane.load(in_range(job.table, id) ? lane.row(static_cast<std::uint64_t>(id))
                                                  : lane.zeros(zero_strip));
  }
#pragma unroll
  for (std::uint32_t u = 0; u < copied_rows; ++u) {
    const std::uint32_t position = first + u * groups;
    if (position < job.feature.num_ids) {
      output.store(position, lane.widened(stored[u]));
    }
  }
}

template <pool_part Part, typename Index, typename Format>
__device__ __forceinline__ void pool_with_format(const pool_job& job, const pool_rows& rows) {
  if constexpr (Part == pool_part::sums) {
    pool_sums<Format, Index>(job, rows);
  } else if (job.feature.mode == pooling_mode::max) {
    pool_max<Format, Index>(job, rows);
  } else {
    copy_rows<Format, Index>(job, rows);
  }
}

template <pool_part Part, typename Index, typename Stored>
__device__ __forceinline__ void pool_with_type(const pool_job& job, const pool_rows& rows) {
  switch (job.shape.width) {
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

/// Feature of a warp; features without warps start where the next one does.
__device__ __forceinline__ std::uint32_t feature_of_warp(const pool_share* shares,
                                                         std::uint32_t count, std::uint32_t warp) {
  std::uint32_t low = 0;
  while (count > 1) {
    const std::uint32_t half = count / 2;
    if (shares[low + half].first_warp <= warp) low += half;
    count -= half;
  }
  return low;
}

/// shares: [num_features]. A warp ends after its output rows: a loop over warps around all this
/// would keep every path's constants in registers.
template <typename Index, pool_part Part>
__global__ void __launch_bounds__(pool_policy::block_warps* warp_size, pool_policy::least_blocks)
    pool_kernel(const __grid_constant__ device_problem problem, bad_id_policy policy,
                dtype output_type, const pool_share* shares, std::uint32_t num_warps) {
  if (problem.status->batch_fault != 0) return;
  const std::uint32_t warp = blockIdx.x * pool_policy::block_warps + threadIdx.x / warp_size;
  if (warp >= num_warps) return;
  const std::uint32_t number =
      feature_of_warp(shares, static_cast<std::uint32_t>(problem.num_features), warp);
  const pool_share share = shares[number];
  const feature_record& feature = problem.features[number];
  const pool_job job = {feature, problem.tables[feature.table], share.shape, policy, output_type};
  std::uint32_t of_strip = warp - share.first_warp;
  std::int32_t strip = 0;
  if (share.shape.strips > 1) {
    const std::uint32_t before = of_strip / share.strip_warps;
    of_strip -= before * share.strip_warps;
    strip = static_cast<std::int32_t>(before) * warp_size * max(share.shape.width, quad_elements);
  }
  const pool_rows rows = {of_strip * share.shape.rows_per_warp, share.shape.rows_per_warp, strip};
  switch (job.table.row_type) {
    case dtype::f32: pool_with_type<Part, Index, float>(job, rows); break;
    case dtype::f16: pool_with_type<Part, Index, numerics::f16>(job, rows); break;
    case dtype::bf16: pool_with_type<Part, Index, numerics::bf16>(job, rows); break;
  }
}

}  // namespace warpbag::kernels
