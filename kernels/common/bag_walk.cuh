// SPDX-License-Identifier: Apache-2.0
#pragma once
// A group of lanes goes through its bag, a lookup a lane at a time: each lane loads one id and
// turns it into a row address, then all lanes take these by shuffle, several rows in flight. Blocks
// of 64 lookups (N2) end between two such steps, because the lanes of a group divide 64.

#include "kernels/common/lane_group.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

/// What lookups that read no row read instead, so that loads need no condition. Padding, skipped
/// and missing lookups may add zeros: a block that holds a zero of either sign makes the same
/// total. A lane reads at most 16 bytes.
__device__ const float4 zero_strip[warp_size] = {};

/// A lookup as the lanes of a group share it.
struct pool_lookup {
  const char* strip;  // where the warp's strip of the row begins, or zero_strip
  float weight;       // 0: the lookup is not there
};

__device__ __forceinline__ const char* zeros() { return reinterpret_cast<const char*>(zero_strip); }

/// What an id reads; `rows` begins at the warp's strip of row 0. With policy zero a bad id is a row
/// of zeros that is there.
template <typename Stored>
__device__ __forceinline__ pool_lookup lookup_of(const Stored* rows, const table_record& table,
                                                 std::int64_t id, bad_id_policy policy) {
  if (!in_range(table, id)) return {zeros(), policy == bad_id_policy::zero ? 1.0F : 0.0F};
  if (id == table.padding_idx) return {zeros(), 0.0F};
  return {reinterpret_cast<const char*>(rows + id * table.row_stride), 1.0F};
}

/// The bag of one group of lanes. A batch has fewer than 2^32 - 1 positions.
template <typename Index>
struct bag_lookups {
  const Index* ids;
  const float* weights;  // nullptr: all 1
  std::uint32_t length;
  std::uint32_t longest;  // of the bags of this warp
};

template <int Elements>
struct sum_of_rows {
  lane_values<Elements> block = {};
  lane_values<Elements> total = {};

  /// fma with weight 1 rounds as an addition does.
  __device__ __forceinline__ void add(const lane_values<Elements>& x, float weight, std::uint32_t) {
#pragma unroll
    for (int i = 0; i < Elements; ++i) {
      block.value[i] = numerics::fused_multiply_add(weight, x.value[i], block.value[i]);
    }
  }
  /// May be called once more at the end: the total is never -0, so adding +0 changes nothing.
  __device__ __forceinline__ void end_block() {
#pragma unroll
    for (int i = 0; i < Elements; ++i) total.value[i] += block.value[i];
    block = {};
  }
};

template <int Elements>
struct max_of_rows {
  lane_values<Elements> total = {};
  std::int32_t position[Elements];

  __device__ __forceinline__ max_of_rows() {
#pragma unroll
    for (int e = 0; e < Elements; ++e) position[e] = -1;
  }
  __device__ __forceinline__ void add(const lane_values<Elements>& x, float present,
                                      std::uint32_t i) {
    if (present == 0.0F) return;
#pragma unroll
    for (int e = 0; e < Elements; ++e) {
      if (position[e] < 0 || x.value[e] > total.value[e]) {
        total.value[e] = x.value[e];
        position[e] = static_cast<std::int32_t>(i);
      }
    }
  }
  __device__ __forceinline__ void end_block() {}
};

/// The lanes of a bag and the part of its rows that they hold.
struct bag_lanes {
  lane_group group;
  std::int32_t strip;   // first column of the warp
  std::int32_t column;  // first column of this lane

  template <int Elements>
  static __device__ __forceinline__ bag_lanes of(int log_group, std::int32_t strip) {
    const lane_group group(log_group);
    return {group, strip, strip + group.lane * Elements};
  }
};

/// Adds the rows of a bag to `pooled`, in order, InFlight at a time. Returns how many of the
/// lookups that this lane classified count in a mean.
template <int Width, int InFlight, typename Stored, int Elements, typename Index,
          template <int> typename Pooled>
__device__ __forceinline__ unsigned walk_bag(const bag_lookups<Index>& bag,
                                             const table_record& table, bad_id_policy policy,
                                             const bag_lanes& lanes, Pooled<Elements>& pooled) {
  const auto group = static_cast<std::uint32_t>(lanes.group.width);
  const auto lane = static_cast<std::uint32_t>(lanes.group.lane);
  const Stored* const rows = static_cast<const Stored*>(table.rows) + lanes.strip;
  // Whole parts: lanes beyond the row read a part that is there, and never write it.
  constexpr bool whole = Width == Elements;
  const std::int32_t read_column = whole && lanes.column >= table.dim ? lanes.strip : lanes.column;
  const std::int32_t elements = whole ? Elements : table.dim - read_column;
  const auto lane_bytes = static_cast<unsigned>(read_column - lanes.strip) * sizeof(Stored);
  const auto shared_by = [&](auto value, std::uint32_t source) {
    return __shfl_sync(full_mask, value, static_cast<int>(source), lanes.group.width);
  };
  const bool weighted = bag.weights != nullptr;
  unsigned counted = 0;
  std::uint32_t first = 0;
  for (std::uint32_t left = bag.longest; left > 0; first += group) {
    pool_lookup mine = {zeros(), 0.0F};
    if (first + lane < bag.length) {
      mine = lookup_of(rows, table, std::int64_t{bag.ids[first + lane]}, policy);
      counted += mine.weight != 0.0F ? 1U : 0U;
      if (weighted && mine.strip != zeros()) mine.weight = bag.weights[first + lane];
    }
    const std::uint32_t here = left < group ? left : group;
    for (std::uint32_t base = 0; base < here; base += InFlight) {
      Stored stored[InFlight][Elements];
#pragma unroll
      for (std::uint32_t u = 0; u < InFlight; ++u) {
        const auto strip = shared_by(reinterpret_cast<std::uint64_t>(mine.strip), base + u);
        load_stored<Width>(stored[u], reinterpret_cast<const Stored*>(strip + lane_bytes), 0,
                           elements);
      }
#pragma unroll
      for (std::uint32_t u = 0; u < InFlight; ++u) {
        pooled.add(widened_values(stored[u]), shared_by(mine.weight, base + u), first + base + u);
      }
    }
    left -= here;
    if ((first + group) % numerics::block_occurrences == 0) pooled.end_block();
  }
  pooled.end_block();
  return counted;
}

}  // namespace warpbag::kernels
