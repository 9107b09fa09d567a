// SPDX-License-Identifier: Apache-2.0
#pragma once
// pool's share in long bags (common/long_bags.cuh): what a group leaves of a piece, and what
// becomes of the pieces of a bag when the last one is there.

#include "kernels/common/bag_walk.cuh"
#include "kernels/common/long_bags.cuh"
#include "kernels/common/pool_job.cuh"

namespace warpbag::kernels {

/// What a group finds to do in its tile of positions.
template <typename Index>
struct found_piece {
  std::uint32_t bag = 0;
  typename pool_bags<Index>::range range = {};
  bag_piece piece = {0, 0};  // one or two; empty: nothing
  std::int64_t slot = 0;     // of the bag

  __device__ __forceinline__ found_piece(const pool_job& job, const pool_rows& rows,
                                         const pool_bags<Index>& bags) {
    const std::uint64_t begin = std::uint64_t{rows.first + group_index(job)} * pool_policy::piece;
    if (begin >= bags.end()) return;
    const auto position = static_cast<std::uint32_t>(begin);
    bag = bags.offsets == nullptr
              ? position / bags.hotness
              : job.problem.bag_of_position[job.record.first_position + position] -
                    job.record.first_bag;
    range = bags[bag];
    piece = piece_of_tile(position - range.begin, range.length);
    slot = (job.record.first_position + range.begin) / pool_policy::positions_per_slot;
  }
  __device__ __forceinline__ bool is_there() const { return piece.begin < piece.end; }
  /// Row `i` of what the groups of the bag leave each other.
  __device__ __forceinline__ float* left_row(const pool_job& job, std::uint32_t i) const {
    return job.longs.sums + (slot + i) * job.longs.stride;
  }
  __device__ __forceinline__ bool brings_last_piece(const pool_job& job, const pool_rows& rows,
                                                    std::uint32_t& counted) const {
    return brings_last(lane_group(job.record.shape.log_group),
                       job.longs.arrived + slot * job.longs.strips + rows.strip / strip_columns,
                       piece.end - piece.begin, range.length, counted);
  }
};

/// Lookups [begin, end) of a bag.
template <typename Format, typename Index>
__device__ __forceinline__ bag_walk<Format, lookup_kind::checked, Index> walk_of(
    const pool_job& job, const pool_bags<Index>& bags, const lane_parts<Format>& lane,
    std::uint32_t bag_begin, std::uint32_t begin) {
  const std::uint32_t first = bag_begin + begin;
  bag_walk<Format, lookup_kind::checked, Index> walk = {bags.ids + first, nullptr, lane,
                                                        id_rules<Index>(job.record, job.policy)};
  if (bags.weights != nullptr) walk.weights = bags.weights + first;
  walk.position = begin;
  return walk;
}

/// What groups leave each other: whole parts of rows in fp32, wherever columns end.
template <typename Format>
struct left_parts {
  static constexpr int width = Format::width < quad_elements ? Format::width : quad_elements;
  const lane_parts<Format>& lane;
  std::int32_t dim;

  __device__ __forceinline__ void store(float* row,
                                        const lane_values<Format::elements>& values) const {
    lane.template store<float, width>(row, dim, values);
  }
  __device__ __forceinline__ lane_values<Format::elements> load(const float* row) const {
    lane_values<Format::elements> values;
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
      float part[Format::width];
      load_stored<width>(part, row, lane.column[p], dim);
#pragma unroll
      for (int i = 0; i < Format::width; ++i) values.value[p * Format::width + i] = part[i];
    }
    return values;
  }
};

/// Modes sum and mean: the sums of a piece's blocks; finish(bag, sum, how many lookups count in a
/// mean) for the bags whose last piece the group brings.
template <typename Index, typename Format, typename Finish>
__device__ __forceinline__ void sum_pieces_of_bags(const pool_job& job, const pool_rows& rows,
                                                   const lane_parts<Format>& lane, Finish finish) {
  constexpr std::uint32_t block = numerics::block_occurrences;
  const pool_bags<Index> bags(job.record);
  const found_piece<Index> found(job, rows, bags);
  if (!found.is_there()) return;
  const left_parts<Format> left = {lane, job.record.dim};
  std::uint32_t counted = 0;
#pragma unroll 1
  for (std::uint32_t number = found.piece.begin / block; number <= (found.piece.end - 1) / block;
       ++number) {  // the end may be just below 2^32
    const std::uint32_t begin = number * block;
    auto walk = walk_of(job, bags, lane, found.range.begin, begin);
    sum_of_rows<Format::elements> pooled;
    pool_bag(walk, min(block, found.piece.end - begin), pooled);
    left.store(found.left_row(job, number), pooled.total);
    counted += walk.counted;
  }
  if (!found.brings_last_piece(job, rows, counted)) return;
  sum_of_rows<Format::elements> pooled;
  const std::uint32_t blocks = (found.range.length - 1) / block + 1;
#pragma unroll(32 / Format::elements)
  for (std::uint32_t i = 0; i < blocks; ++i) {
    pooled.block = left.load(found.left_row(job, i));
    pooled.add_block();
  }
  finish(found.bag, pooled, counted);
}

/// The largest element of a piece that is not NaN, and where it is; -1: none. A NaN counts only if
/// it is the first of the bag that is there, so a piece says too where its first was one.
template <int Elements>
struct max_of_piece {
  lane_values<Elements> total = {};
  std::int32_t position[Elements];
  std::int32_t first_nan[Elements];  // -1: the first is a number, or there is none
  bool any = false;

  __device__ __forceinline__ max_of_piece() {
#pragma unroll
    for (int e = 0; e < Elements; ++e) position[e] = first_nan[e] = -1;
  }
  __device__ __forceinline__ void add(const lane_values<Elements>& x, float present,
                                      std::uint32_t i) {
    if (present == 0.0F) return;
#pragma unroll
    for (int e = 0; e < Elements; ++e) {
      const bool is_nan = x.value[e] != x.value[e];
      if (is_nan && !any) first_nan[e] = static_cast<std::int32_t>(i);
      if (x.value[e] > total.value[e] || (position[e] < 0 && !is_nan)) {
        total.value[e] = x.value[e];
        position[e] = static_cast<std::int32_t>(i);
      }
    }
    any = true;
  }
  __device__ __forceinline__ void end_block() {}
  template <bool>
  __device__ __forceinline__ void end_bag(bool) {}
};

/// Mode max, where a piece leaves three rows: of the n > 512 lookups' ceil(n / 64) there are enough
/// for its ceil(n / 256) pieces. finish(bag, max_of_rows, 0) as above.
template <typename Index, typename Format, typename Finish>
__device__ __forceinline__ void max_pieces_of_bags(const pool_job& job, const pool_rows& rows,
                                                   const lane_parts<Format>& lane, Finish finish) {
  constexpr int elements = Format::elements;
  constexpr std::uint32_t piece = pool_policy::piece;
  constexpr std::uint32_t rows_left = 3;
  const pool_bags<Index> bags(job.record);
  const found_piece<Index> found(job, rows, bags);
  if (!found.is_there()) return;
  const left_parts<Format> left = {lane, job.record.dim};
  const auto as_floats = [](const std::int32_t(&numbers)[elements]) {
    lane_values<elements> floats;
#pragma unroll
    for (int e = 0; e < elements; ++e) floats.value[e] = __int_as_float(numbers[e]);
    return floats;
  };
#pragma unroll 1
  for (std::uint32_t number = found.piece.begin / piece; number <= (found.piece.end - 1) / piece;
       ++number) {
    const std::uint32_t begin = number * piece;
    auto walk = walk_of(job, bags, lane, found.range.begin, begin);
    max_of_piece<elements> mine;
    pool_bag(walk, min(piece, found.piece.end - begin), mine);
    float* const row = found.left_row(job, number * rows_left);
    left.store(row, mine.total);
    left.store(row + job.longs.stride, as_floats(mine.position));
    left.store(row + 2 * job.longs.stride, as_floats(mine.first_nan));
  }
  std::uint32_t counted = 0;
  if (!found.brings_last_piece(job, rows, counted)) return;
  max_of_rows<elements> pooled;
  const std::uint32_t end = ((found.range.length - 1) / piece + 1) * rows_left;
#pragma unroll 1
  for (std::uint32_t i = 0; i < end; i += rows_left) {
    const auto largest = left.load(found.left_row(job, i));
    const auto position = left.load(found.left_row(job, i + 1));
    const auto first_nan = left.load(found.left_row(job, i + 2));
#pragma unroll
    for (int e = 0; e < elements; ++e) {
      const bool is_first = pooled.position[e] < 0;
      const std::int32_t nan_at = __float_as_int(first_nan.value[e]);
      const std::int32_t number_at = __float_as_int(position.value[e]);
      if (is_first && nan_at >= 0) {
        pooled.total.value[e] = numerics::bits_as<float>(0x7FC00000U);
        pooled.position[e] = nan_at;
      } else if (number_at >= 0 && (is_first || largest.value[e] > pooled.total.value[e])) {
        pooled.total.value[e] = largest.value[e];
        pooled.position[e] = number_at;
      }
    }
  }
  finish(found.bag, pooled, 0);
}

}  // namespace warpbag::kernels
