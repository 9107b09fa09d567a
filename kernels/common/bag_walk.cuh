// SPDX-License-Identifier: Apache-2.0
#pragma once
// A group of lanes goes through its bag, several rows under way at once. All lanes of a group read
// the same id (one request, one sector), so lookups need no shuffle and groups with bags of other
// lengths do not meet until their bags end.
//
// Instructions a row, in fp32 without weights: load the id, one multiply-add for the address, load
// 16 bytes, four additions.

#include "kernels/common/pool_record.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/row_format.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

/// What lookups that read no row read instead, so that loads need no condition. Padding, skipped
/// and missing lookups may add zeros: a block that holds a zero of either sign makes the same
/// total. As wide as the widest strip (32 lanes of 16 bytes).
__device__ const float4 zero_strip[warp_size] = {};

template <int Elements>
struct sum_of_rows {
  lane_values<Elements> block = {};
  lane_values<Elements> total = {};

  __device__ __forceinline__ void add(const lane_values<Elements>& x) {
#pragma unroll
    for (int i = 0; i < Elements; ++i) block.value[i] += x.value[i];
  }
  /// With weight 1 this rounds as an addition does.
  __device__ __forceinline__ void add(const lane_values<Elements>& x, float weight, std::uint32_t) {
#pragma unroll
    for (int i = 0; i < Elements; ++i) {
      block.value[i] = numerics::fused_multiply_add(weight, x.value[i], block.value[i]);
    }
  }
  __device__ __forceinline__ void end_block() {
    add_block();
    block = {};
  }
  __device__ __forceinline__ void add_block() {
#pragma unroll
    for (int i = 0; i < Elements; ++i) total.value[i] += block.value[i];
  }
  /// The last block. Where it is the only one, the total is +0 + block: the block itself, unless
  /// underflow of a product with a weight has made that -0.
  template <bool Weighted>
  __device__ __forceinline__ void end_bag(bool only_block) {
    if (Weighted || !only_block) {
      add_block();
    } else {
      total = block;
    }
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
  template <bool>
  __device__ __forceinline__ void end_bag(bool) {}
};

/// What checked lookups are checked against, in the width of an id: 32-bit ids need no 64-bit
/// comparisons, which are two or three instructions each.
template <typename Index>
struct id_rules {
  using number = std::make_unsigned_t<Index>;
  number num_rows;  // 2^31 where 32-bit ids cannot reach the last rows
  number padding_idx;
  float bad_weight;  // 1 under bad_id_policy::zero: a bad id is a row of zeros that is there

  __device__ __forceinline__ id_rules(const pool_record& record, bad_id_policy policy)
      : bad_weight(policy == bad_id_policy::zero ? 1.0F : 0.0F) {
    constexpr auto ids = static_cast<std::int64_t>(static_cast<number>(-1) >> 1U);
    num_rows = static_cast<number>(record.num_rows <= ids ? record.num_rows : ids) +
               (record.num_rows > ids ? 1U : 0U);
    // No padding row, or none that such an id can name: what no id in range is.
    const bool named = record.padding_idx >= 0 && record.padding_idx <= ids;
    padding_idx = named ? static_cast<number>(record.padding_idx) : static_cast<number>(-1);
  }
};

/// device_problem::hot_lookups, from a bag's first lookup on.
struct hot_lookup_bits {
  const std::uint32_t* words = nullptr;
  std::uint32_t position = 0;

  /// Bits 0 to count - 1 are of the next `count` lookups, 32 at most; others mean nothing.
  __device__ __forceinline__ std::uint32_t next(std::uint32_t count) {
    const std::uint32_t* const word = words + position / 32;
    const std::uint32_t bits = __funnelshift_r(word[0], word[1], position % 32);
    position += count;
    return bits;
  }
};

/// The lookups of a bag that are still to come, as one lane sees them.
template <typename Format, lookup_kind Kind, typename Index, bool Sampled = false>
struct bag_walk {
  const Index* ids;
  const float* weights;  // nullptr: all 1
  lane_parts<Format> lane;
  id_rules<Index> rules;
  hot_lookup_bits hot = {};    // where Sampled
  std::uint32_t position = 0;  // of the next lookup within the bag
  std::uint32_t counted = 0;   // lookups that count in a mean; of kind checked only

  /// Rows whose loads are under way.
  template <int Rows>
  struct rows_under_way {
    typename lane_parts<Format>::loaded row[Rows];
    float weight[Rows];
    std::uint32_t position;
  };

  template <int Rows>
  __device__ __forceinline__ void load(rows_under_way<Rows>& loaded) {
    global_address rows[Rows];
#pragma unroll
    for (int u = 0; u < Rows; ++u) rows[u] = find(ids[u], u, loaded.weight[u]);
    if constexpr (Sampled) {
      const std::uint32_t bits = hot.next(Rows);
#pragma unroll
      for (int u = 0; u < Rows; ++u) loaded.row[u] = lane.load(rows[u], bits & 1U << u);
    } else {
#pragma unroll
      for (int u = 0; u < Rows; ++u) loaded.row[u] = lane.load(rows[u]);
    }
    loaded.position = position;
    position += Rows;
    ids += Rows;
    if (Kind == lookup_kind::weighted || weights != nullptr) weights += Rows;
  }

  template <int Rows, typename Pooled>
  __device__ __forceinline__ void add(const rows_under_way<Rows>& loaded, Pooled& pooled) const {
#pragma unroll
    for (int u = 0; u < Rows; ++u) {
      const auto values = lane.widened(loaded.row[u]);
      if constexpr (Kind == lookup_kind::plain) {
        pooled.add(values);
      } else {
        pooled.add(values, loaded.weight[u], loaded.position + u);
      }
    }
  }

 private:
  /// Where this lane reads for a lookup, and its weight; 0: the lookup is not there.
  __device__ __forceinline__ global_address find(Index id, int u, float& weight) {
    if constexpr (Kind == lookup_kind::checked) {
      const auto number = static_cast<typename id_rules<Index>::number>(id);
      const bool in_range = number < rules.num_rows;
      const bool live = in_range && number != rules.padding_idx;
      weight = in_range ? (live ? 1.0F : 0.0F) : rules.bad_weight;
      if (weight != 0.0F) ++counted;
      if (live && weights != nullptr) weight = weights[u];
      return live ? lane.row(std::uint64_t{number}) : lane.zeros(zero_strip);
    } else {
      if constexpr (Kind == lookup_kind::weighted) weight = weights[u];
      return lane.row(static_cast<std::uint32_t>(id));
    }
  }
};

/// Adds `length` lookups to `pooled`, in order, in blocks of 64 (N2).
template <typename Format, lookup_kind Kind, typename Index, bool Sampled, typename Pooled>
__device__ __forceinline__ void pool_bag(bag_walk<Format, Kind, Index, Sampled>& walk,
                                         std::uint32_t length, Pooled& pooled) {
  using walk_type = bag_walk<Format, Kind, Index, Sampled>;
  constexpr std::uint32_t block = numerics::block_occurrences;
  constexpr int in_flight = pool_policy::rows_in_flight(Kind, Format::elements, Format::parts);
  std::uint32_t left = length;
  while (true) {
    const std::uint32_t here = left < block ? left : block;
#pragma unroll 1
    for (std::uint32_t step = here / in_flight; step > 0; --step) {
      typename walk_type::template rows_under_way<in_flight> rows;
      walk.load(rows);
      walk.add(rows, pooled);
    }
    if (left <= block) break;
    pooled.end_block();
    left -= block;
  }
  // What is left over is under way at once too, before any of it is added.
  typename walk_type::template rows_under_way<4> four;
  typename walk_type::template rows_under_way<2> two;
  typename walk_type::template rows_under_way<1> one;
  const bool has_four = in_flight > 4 && (left & 4U) != 0;
  const bool has_two = (left & 2U) != 0;
  const bool has_one = (left & 1U) != 0;
  if (has_four) walk.load(four);
  if (has_two) walk.load(two);
  if (has_one) walk.load(one);
  if (has_four) walk.add(four, pooled);
  if (has_two) walk.add(two, pooled);
  if (has_one) walk.add(one, pooled);
  pooled.template end_bag<Kind != lookup_kind::plain>(length <= block);
}

}  // namespace warpbag::kernels
