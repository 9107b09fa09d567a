// SPDX-License-Identifier: Apache-2.0
// Forward (N2). Work is cut into chunks of bags; a feature with a very long bag is cut by columns
// too. A bag is pooled in strips of columns whose accumulators stay in registers from its first
// lookup to its last, while the same columns of rows some lookups ahead, of this bag or the next
// ones, are prefetched.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/pool_strips-inl.hpp"
#include "cpu/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

/// Rounds columns [first, last) of a scratch row to nearest even.
HWY_INLINE void narrow_columns(const float* from, dtype type, void* to, std::int64_t to_row,
                               std::int64_t first, std::int64_t last) {
  const auto narrow = [&](auto* typed) HWY_ATTR {
    narrow_row(from + first, typed + to_row + first, last - first);
  };
  switch (type) {
    case dtype::f32: narrow(static_cast<float*>(to)); return;
    case dtype::f16: narrow(static_cast<f16*>(to)); return;
    case dtype::bf16: narrow(static_cast<bf16*>(to)); return;
  }
}

/// pool_bag(rows, bag, begin, end, pooled) for each bag of the chunk.
template <typename Row, typename Index, typename PoolBag>
HWY_INLINE void for_each_bag(const pool_job& job, PoolBag pool_bag) {
  const feature_record& feature = job.feature;
  const bag_range range = bags_of_chunk<Index>(feature, job.chunk);
  if (range.first == range.last) return;
  const bag_positions<Index> bags(feature);
  const lookups<Row, Index> rows(job, bags.end(range.last - 1));
  const bool in_place = job.output_type == dtype::f32;
  for (std::int64_t bag = range.first; bag < range.last; ++bag) {
    const std::int64_t output = bag * feature.output_stride;
    float* const pooled = in_place ? static_cast<float*>(feature.output) + output : job.pooled;
    pool_bag(rows, bag, bags.begin(bag), bags.end(bag), pooled);
    if (!in_place) {
      narrow_columns(pooled, job.output_type, feature.output, output, job.first_column,
                     job.last_column);
    }
  }
}

template <typename Row, typename Index, bool Weighted>
void sum_bags(const pool_job& job) {
  const feature_record& feature = job.feature;
  const Index* const ids = static_cast<const Index*>(feature.ids);
  const auto pool_bag = [&](const lookups<Row, Index>& rows, std::int64_t, std::int64_t begin,
                            std::int64_t end, float* pooled) HWY_ATTR {
    const std::int64_t counted =
        feature.mode == pooling_mode::mean
            ? counted_lookups(ids + begin, end - begin, job.table, job.bad_ids_are_zero_rows)
            : 0;
    pool_strips(job.first_column, job.last_column,
                sum_strip<Row, Index, Weighted>{rows, feature.weights, begin, end,
                                                static_cast<float>(counted), pooled});
  };
  for_each_bag<Row, Index>(job, pool_bag);
}

template <typename Row, typename Index>
void max_bags(const pool_job& job) {
  std::int32_t* const max_positions = job.feature.max_positions;
  const std::size_t winners_bytes =
      static_cast<std::size_t>(job.last_column - job.first_column) * sizeof(std::int32_t);
  const auto pool_bag = [&](const lookups<Row, Index>& rows, std::int64_t bag, std::int64_t begin,
                            std::int64_t end, float* pooled) HWY_ATTR {
    pool_strips(
        job.first_column, job.last_column,
        max_strip<Row, Index>{rows, job.bad_ids_are_zero_rows, begin, end, pooled, job.winners});
    if (max_positions == nullptr) return;
    std::memcpy(max_positions + bag * job.table.dim + job.first_column,
                job.winners + job.first_column, winners_bytes);
  };
  for_each_bag<Row, Index>(job, pool_bag);
}

/// Loads a strip of vectors before it stores them: stores between the loads would hold these back
/// (8 % of a copy).
HWY_INLINE void copy_bytes(const std::uint8_t* from, std::uint8_t* to, std::int64_t bytes) {
  const hn::ScalableTag<std::uint8_t> tag;
  constexpr auto step = static_cast<std::int64_t>(hn::MaxLanes(tag));
  constexpr int vectors = 8;
  std::int64_t done = 0;
  for (; done + vectors * step <= bytes; done += vectors * step) {
    hn::Vec<decltype(tag)> strip[vectors];
    for (int k = 0; k < vectors; ++k) strip[k] = hn::LoadU(tag, from + done + k * step);
    for (int k = 0; k < vectors; ++k) hn::StoreU(strip[k], tag, to + done + k * step);
  }
  for (; done + step <= bytes; done += step)
    hn::StoreU(hn::LoadU(tag, from + done), tag, to + done);
  if (done < bytes) std::memcpy(to + done, from + done, static_cast<std::size_t>(bytes - done));
}

/// Mode none copies row after row of the chunk's positions; those of bad ids, and those beyond the
/// last bag, are rows of zeros.
template <typename Row, typename Index>
void copy_rows(const pool_job& job) {
  constexpr dtype row_type = std::is_same_v<Row, float> ? dtype::f32
                             : std::is_same_v<Row, f16> ? dtype::f16
                                                        : dtype::bf16;
  const feature_record& feature = job.feature;
  const Index* const ids = static_cast<const Index*>(feature.ids);
  const std::int64_t dim = job.table.dim;
  const std::int64_t row_bytes = dim * std::int64_t{sizeof(Row)};
  const std::int64_t covered = bag_positions<Index>(feature).covered();
  const auto row_at = [&](std::int64_t position) -> const Row* {
    if (position >= covered) return nullptr;
    const std::int64_t id = ids[position];
    const bool bad = classify(id, job.table.num_rows, -1) == lookup_kind::bad;
    return bad ? nullptr : static_cast<const Row*>(job.table.rows) + id * job.table.row_stride;
  };
  // What is written misses the caches too.
  const std::int64_t ahead = tuning::rows_ahead(2 * row_bytes);
  const std::int64_t first = job.chunk * lookups_per_chunk;
  const std::int64_t last = std::min(first + lookups_per_chunk, feature.num_ids);
  for (std::int64_t position = first; position < last; ++position) {
    if (position + ahead < last) prefetch_row(row_at(position + ahead), row_bytes);
    const Row* const row = row_at(position);
    const std::int64_t output = position * feature.output_stride;
    if (row != nullptr && job.output_type == row_type) {
      copy_bytes(reinterpret_cast<const std::uint8_t*>(row),
                 reinterpret_cast<std::uint8_t*>(static_cast<Row*>(feature.output) + output),
                 row_bytes);
      continue;
    }
    if (row == nullptr) {
      std::fill_n(job.pooled, dim, 0.0F);
    } else {
      widen_row(row, job.pooled, dim, padded(dim));
    }
    narrow_columns(job.pooled, job.output_type, feature.output, output, 0, dim);
  }
}

template <typename Row, typename Index>
void pool_typed(const pool_job& job) {
  switch (job.feature.mode) {
    case pooling_mode::none: copy_rows<Row, Index>(job); return;
    case pooling_mode::max: max_bags<Row, Index>(job); return;
    case pooling_mode::sum:
    case pooling_mode::mean:
      if (job.feature.weights != nullptr) {
        sum_bags<Row, Index, true>(job);
      } else {
        sum_bags<Row, Index, false>(job);
      }
      return;
  }
}

template <typename Row>
void pool_rows(const pool_job& job) {
  if (job.ids_type == index_type::i32) {
    pool_typed<Row, std::int32_t>(job);
  } else {
    pool_typed<Row, std::int64_t>(job);
  }
}

void run_pool_job(const pool_job& job) {
  switch (job.table.row_type) {
    case dtype::f32: pool_rows<float>(job); return;
    case dtype::f16: pool_rows<f16>(job); return;
    case dtype::bf16: pool_rows<bf16>(job); return;
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(run_pool_job);

namespace {

using tuning::columns_per_part;

/// Into how many ranges of columns the chunks of a feature are cut: 1, but for a feature with a bag
/// so long that the chunk it is in would keep one thread busy alone.
std::int64_t column_parts(const feature_record& feature, std::int64_t dim, std::int64_t longest_bag,
                          int num_threads) {
  if (feature.mode == pooling_mode::none || longest_bag <= 8 * lookups_per_chunk) return 1;
  return std::clamp<std::int64_t>(dim / columns_per_part, 1, num_threads);
}

}  // namespace

void cpu_backend::pool(const problem& problem) {
  const auto table_of = [&](std::size_t f) -> const table_record& {
    return problem.tables[static_cast<std::size_t>(problem.features[f].table)];
  };
  const auto parts_of = [&](std::size_t f) {
    return column_parts(problem.features[f], table_of(f).dim, workspace_.arrays().longest_bag[f],
                        threads_.num_threads());
  };
  const auto chunks = [&](std::size_t f) {
    const feature_record& feature = problem.features[f];
    if (feature.mode == pooling_mode::none) {
      return (feature.num_ids + lookups_per_chunk - 1) / lookups_per_chunk;
    }
    return chunks_of(feature) * parts_of(f);
  };
  const auto pool_chunk = [&](std::size_t f, std::int64_t chunk, int thread) {
    const std::int64_t parts = parts_of(f);
    const std::int64_t dim = table_of(f).dim;
    const std::int64_t width =
        ((dim + parts - 1) / parts + columns_per_part - 1) / columns_per_part * columns_per_part;
    const std::int64_t first_column = std::min(chunk % parts * width, dim);
    const thread_rows rows = workspace_.rows_of_thread(thread);
    const pool_job job = {problem.features[f],
                          table_of(f),
                          problem.ids_type,
                          problem.output_type,
                          problem.policy == bad_id_policy::zero,
                          chunk / parts,
                          first_column,
                          std::min(first_column + width, dim),
                          rows.gradient,
                          reinterpret_cast<std::int32_t*>(rows.weight)};
    HWY_DYNAMIC_DISPATCH(run_pool_job)(job);
  };
  for_each_chunk(problem.features.size(), chunks, pool_chunk);
}

}  // namespace warpbag::cpu
#endif
