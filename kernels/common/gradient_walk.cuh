// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sum of gradient rows over consecutive runs by one group of lanes, each lane for its own quad
// of columns: the one inner loop of reduce_gradients.
//
// The lanes of the group look up one occurrence each, a chunk at a time. The gradient rows then
// come through a ring in shared memory, in which a lane reads only what it copied itself, so that
// nothing needs a barrier; copies stay in flight over the ends of runs, slices and blocks, which
// is what keeps short runs from waiting for memory at every row.

#include <cuda_pipeline.h>

#include "kernels/common/gradient_occurrence.cuh"
#include "kernels/common/gradient_sums.cuh"
#include "kernels/common/lane_group.cuh"

namespace warpbag::kernels {

struct gradient_walk_policy {
  // The ring holds two batches: one on its way while the other is added. 16 warps with 4 rows of
  // 512 bytes keep 40 KiB in flight per multiprocessor, while 3.4 TB/s at 0.8 us of latency over
  // 132 multiprocessors ask for 20 KiB.
  static constexpr int rows_per_batch = 4;
  static constexpr int rows_in_ring = 2 * rows_per_batch;
  // Lane-private quads for finished sums: 4 KiB per warp, as much as the ring.
  static constexpr int sums_per_lane = 8;
  // 32 KiB of shared memory per block, which needs no opting in.
  static constexpr int warps_per_block = 4;
  // 128 registers a thread: with 96 (5 blocks) the sums and the optimizer spill.
  static constexpr int blocks_per_multiprocessor = 4;
};

template <typename Gradient>
using gradient_ring = Gradient[gradient_walk_policy::rows_in_ring][strip_columns];

/// What a lane knows of the occurrence it looked up.
template <typename Gradient>
struct walk_item {
  const Gradient* row;
  float scale;
  int level;  // sums that end before it
  occurrence where;
};

/// The walk of one group over one strip of columns of one table.
template <typename Gradient>
class gradient_walk {
 public:
  __device__ __forceinline__ gradient_walk(const device_problem& problem,
                                           const std::uint32_t* positions, index_type offsets_type,
                                           const lane_group& group, gradient_ring<Gradient>& ring,
                                           std::int32_t dim, std::int32_t column)
      : problem_(problem),
        positions_(positions),
        offsets_type_(offsets_type),
        group_(group),
        slots_(ring[0] + lane_index() * quad_elements),
        slots_address_(static_cast<std::uint32_t>(__cvta_generic_to_shared(slots_))),
        dim_(dim),
        column_(column) {}

  __device__ __forceinline__ std::int32_t dim() const { return dim_; }
  __device__ __forceinline__ std::int32_t column() const { return column_; }

  /// Sums the occurrences [begin, end), which are whole runs. run_end(run) is where a run ends,
  /// sink(run, quad) takes each sum. Bits do not depend on the width of the group.
  template <typename RunEnd, typename Sink>
  __device__ __forceinline__ void sum_runs(std::uint32_t begin, std::uint32_t end, std::int32_t run,
                                           RunEnd run_end, Sink sink) const {
    nested_sums sums;
    std::uint32_t end_of_run = run_end(run);
    std::int32_t feature = 0;
    std::int32_t slice = 0;
    for (std::uint32_t chunk = begin; chunk < end; chunk += static_cast<unsigned>(group_.width)) {
      const int count = static_cast<int>(min(end - chunk, static_cast<unsigned>(group_.width)));
      const walk_item<Gradient> item = look_up(chunk, count, feature, slice);
      feature = group_.broadcast(item.where.feature, group_.width - 1);
      slice = group_.broadcast(item.where.slice, group_.width - 1);
      const bool whole_quads = has_whole_quads(item);
      const bool has_winners = __any_sync(group_.mask, item.where.position_in_bag >= 0) != 0;
      start_batch(item, 0, count, whole_quads);
#pragma unroll 1
      for (int first = 0; first < count; first += rows_per_batch) {
        start_batch(item, first + rows_per_batch, count, whole_quads);
        __pipeline_wait_prior(1);
        const int last = min(first + rows_per_batch, count);
#pragma unroll 1
        for (int k = first; k < last; ++k) {
          sums.before_occurrence(group_.broadcast(item.level, k));
          const quad term = load(slots_ + slot_offset(k));
          const float scale = group_.broadcast(item.scale, k);
          if (has_winners) {
            add_won(sums.block, term, scale, columns_won(item, k));
          } else {
            add(sums.block, term, scale);
          }
          ++sums.in_block;
          if (chunk + static_cast<unsigned>(k) + 1 != end_of_run) continue;
          sink(run, sums.finish());
          ++run;
          if (end_of_run < end) end_of_run = run_end(run);
        }
      }
    }
  }

 private:
  static constexpr int rows_per_batch = gradient_walk_policy::rows_per_batch;
  static constexpr int rows_in_ring = gradient_walk_policy::rows_in_ring;
  static constexpr unsigned all_columns = (1U << quad_elements) - 1;

  /// Lane l looks up occurrence chunk + l; lanes at and after `count` repeat the last one.
  __device__ __forceinline__ walk_item<Gradient> look_up(std::uint32_t chunk, int count,
                                                         std::int32_t feature,
                                                         std::int32_t slice) const {
    const std::uint32_t index = chunk + static_cast<unsigned>(min(group_.lane, count - 1));
    walk_item<Gradient> item;
    item.where = find_occurrence(problem_, offsets_type_, positions_[index], feature);
    std::int32_t feature_before = group_.from_previous_lane(item.where.feature);
    std::int32_t slice_before = group_.from_previous_lane(item.where.slice);
    if (group_.lane == 0) {
      feature_before = feature;
      slice_before = slice;
    }
    item.level =
        sums_ended_between(feature_before, slice_before, item.where.feature, item.where.slice);
    item.scale = item.where.scale;
    item.row = static_cast<const Gradient*>(problem_.features[item.where.feature].gradient) +
               item.where.gradient_element;
    return item;
  }

  /// Every row of the chunk can be copied a quad at a time.
  __device__ __forceinline__ bool has_whole_quads(const walk_item<Gradient>& item) const {
    constexpr unsigned quad_bytes = quad_elements * sizeof(Gradient);
    const bool aligned = reinterpret_cast<std::uint64_t>(item.row) % quad_bytes == 0;
    return __all_sync(group_.mask, aligned) != 0 && dim_ % quad_elements == 0;
  }

  __device__ __forceinline__ static int slot_offset(int k) {
    return (k & (rows_in_ring - 1)) * strip_columns;
  }

  /// Copies the rows of occurrences [first, first + rows_per_batch) of the chunk, and commits: a
  /// batch past the chunk is empty, so that waiting can count. Elements at and after `dim` are not
  /// touched.
  __device__ __forceinline__ void start_batch(const walk_item<Gradient>& item, int first, int count,
                                              bool whole_quads) const {
    const int last = min(first + rows_per_batch, count);
#pragma unroll 1
    for (int k = first; k < last; ++k) {
      const Gradient* const from = reinterpret_cast<const Gradient*>(group_.broadcast(
                                       reinterpret_cast<unsigned long long>(item.row), k)) +
                                   column_;
      if (!whole_quads) {
        copy_elements(slots_ + slot_offset(k), from);
      } else if (column_ < dim_) {
        copy_quad(slots_address_ + static_cast<unsigned>(slot_offset(k)) * sizeof(Gradient), from);
      }
    }
    __pipeline_commit();
  }

  __device__ __forceinline__ static void copy_quad(std::uint32_t to, const Gradient* from) {
    if constexpr (sizeof(Gradient) == 4) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
    } else {
      asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(from) : "memory");
    }
  }

  __device__ __forceinline__ void copy_elements(Gradient* to, const Gradient* from) const {
#pragma unroll 1
    for (int i = 0; i < min(quad_elements, dim_ - column_); ++i) {
      if constexpr (sizeof(Gradient) == 4) {
        __pipeline_memcpy_async(to + i, from + i, sizeof(Gradient));
      } else {
        to[i] = from[i];  // asynchronous copies have 4 bytes at least
      }
    }
  }

  /// Mode max: bit i says that the occurrence won column i of the quad.
  __device__ __forceinline__ unsigned columns_won(const walk_item<Gradient>& item, int k) const {
    const int position_in_bag = group_.broadcast(item.where.position_in_bag, k);
    const feature_record& feature = problem_.features[group_.broadcast(item.where.feature, k)];
    const std::int64_t bag = group_.broadcast(item.where.bag, k);
    if (position_in_bag < 0) return all_columns;
    const std::int32_t* winners = feature.max_positions + bag * dim_ + column_;
    unsigned wins = 0;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      if (column_ + i < dim_ && winners[i] == position_in_bag) wins |= 1U << i;
    }
    return wins;
  }

  __device__ __forceinline__ static quad load(const Gradient* slot) {
    const auto stored = *reinterpret_cast<const detail::packed<Gradient, quad_elements>*>(slot);
    return widened_quad(stored.value);
  }

  __device__ __forceinline__ static void add(quad& block, const quad& x, float scale) {
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      block.value[i] = numerics::fused_multiply_add(x.value[i], scale, block.value[i]);
    }
  }

  __device__ __forceinline__ static void add_won(quad& block, const quad& x, float scale,
                                                 unsigned wins) {
    quad sum = block;
    add(sum, x, scale);
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      if ((wins >> i & 1U) != 0) block.value[i] = sum.value[i];
    }
  }

  const device_problem& problem_;
  const std::uint32_t* positions_;
  index_type offsets_type_;
  const lane_group& group_;
  Gradient* slots_;  // of this lane, strip_columns apart
  std::uint32_t slots_address_;
  std::int32_t dim_;
  std::int32_t column_;  // first of the lane's quad
};

/// Zero at and after `dim`, where the ring holds leftovers.
__device__ __forceinline__ quad within_row(quad x, std::int32_t column, std::int32_t dim) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) x.value[i] = column + i < dim ? x.value[i] : 0.0F;
  return x;
}

}  // namespace warpbag::kernels
