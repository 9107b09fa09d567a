// SPDX-License-Identifier: Apache-2.0
// Forward (N2). Work is cut into chunks of bags; a feature with a very long bag is cut by columns
// too. Lookups are resolved to row addresses a block of 64 at a time, one block ahead of the block
// that is summed, so that its rows can be prefetched meanwhile. A block is summed in strips of
// columns whose accumulators stay in registers.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/simd-inl.hpp"
#include "numerics/gradient_tree.hpp"

#ifndef WARPBAG_CPU_POOL_TYPES
#define WARPBAG_CPU_POOL_TYPES
namespace warpbag::cpu {

/// One piece of pooling: some bags of a feature (mode none: some positions) and some columns.
struct pool_job {
  const feature_record& feature;
  const table_record& table;
  index_type ids_type;
  dtype output_type;
  bool bad_ids_are_zero_rows;
  std::int64_t chunk;
  std::int64_t first_column;
  std::int64_t last_column;
  float* totals;          // [padded dim] scratch, for bags of more than one block
  std::int32_t* winners;  // the same, mode max
};

/// Up to 64 lookups of a bag; those that add nothing are left out.
struct lookup_block {
  std::int64_t bag;
  std::int64_t counted;  // lookups of the bag so far that count in a mean
  bool first;            // block of its bag
  bool last;
  int size;
  const void* rows[numerics::block_occurrences];  // nullptr: a row of zeros (mode max)
  float weights[numerics::block_occurrences];
  std::int32_t positions[numerics::block_occurrences];  // within the bag
};

}  // namespace warpbag::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

/// Walks the blocks of bags [bag, last_bag), resolving ids to rows.
template <typename Row, typename Index>
class block_walker {
 public:
  block_walker(const pool_job& job, bag_range bags)
      : job_(job),
        bags_(job.feature),
        ids_(static_cast<const Index*>(job.feature.ids)),
        bag_(bags.first),
        last_bag_(bags.last) {
    if (bag_ < last_bag_) enter_bag();
  }

  /// False when there are no more blocks.
  bool next(lookup_block& block) {
    if (bag_ == last_bag_) return false;
    block.bag = bag_;
    block.first = position_ == begin_;
    block.size = 0;
    const std::int64_t stop = std::min(position_ + std::int64_t{numerics::block_occurrences}, end_);
    for (; position_ < stop; ++position_) add(block);
    block.counted = counted_;
    block.last = position_ == end_;
    if (block.last && ++bag_ < last_bag_) enter_bag();
    return true;
  }

 private:
  void enter_bag() {
    begin_ = position_ = bags_.begin(bag_);
    end_ = bags_.end(bag_);
    counted_ = 0;
  }

  void add(lookup_block& block) {
    const std::int64_t id = ids_[position_];
    const lookup_kind kind = classify(id, job_.table.num_rows, job_.table.padding_idx);
    const bool zero_row = kind == lookup_kind::bad && job_.bad_ids_are_zero_rows;
    counted_ += kind == lookup_kind::live || zero_row ? 1 : 0;
    if (kind != lookup_kind::live && !(zero_row && job_.feature.mode == pooling_mode::max)) return;
    const auto slot = static_cast<std::size_t>(block.size);
    block.rows[slot] = zero_row ? nullptr
                                : static_cast<const Row*>(job_.table.rows) +
                                      id * job_.table.row_stride + job_.first_column;
    if (job_.feature.weights != nullptr) block.weights[slot] = job_.feature.weights[position_];
    block.positions[slot] = static_cast<std::int32_t>(position_ - begin_);
    block.size += 1;
  }

  const pool_job& job_;
  bag_positions<Index> bags_;
  const Index* ids_;
  std::int64_t bag_;
  std::int64_t last_bag_;
  std::int64_t begin_ = 0;
  std::int64_t position_ = 0;
  std::int64_t end_ = 0;
  std::int64_t counted_ = 0;
};

/// A block being pooled and the one after it. Column j of a strip is relative to first_column.
template <typename Row>
struct block_strip {
  const pool_job& job;
  const lookup_block& current;
  const lookup_block& next;

  std::int64_t output_index(std::int64_t j) const {
    return current.bag * job.feature.output_stride + job.first_column + j;
  }
  void prefetch_next(std::int64_t j, int i) const {
    if (j != 0 || i >= next.size) return;
    prefetch_row(next.rows[i], (job.last_column - job.first_column) * std::int64_t{sizeof(Row)});
  }
  template <bool Partial>
  static HWY_INLINE floats load_part(const Row* row, std::int64_t count) {
    if constexpr (Partial) return load_first(row, count);
    return load(row);
  }
};

template <typename Row, bool Weighted>
struct sum_strip : block_strip<Row> {
  template <int Vectors, bool Partial>
  HWY_INLINE void at(std::int64_t j, std::int64_t count) const {
    const lookup_block& block = this->current;
    floats sums[std::size_t{Vectors}];
    for (int k = 0; k < Vectors; ++k) sums[k] = hn::Zero(float_lanes);
    for (int i = 0; i < block.size; ++i) {
      this->prefetch_next(j, i);
      const Row* const row = static_cast<const Row*>(block.rows[i]) + j;
      const floats weight = hn::Set(float_lanes, Weighted ? block.weights[i] : 1.0F);
      for (int k = 0; k < Vectors; ++k) {
        const floats x =
            block_strip<Row>::template load_part<Partial>(row + k * lanes_per_vector, count);
        sums[k] = Weighted ? fused_multiply_add(weight, x, sums[k]) : hn::Add(sums[k], x);
      }
    }
    for (int k = 0; k < Vectors; ++k) finish(sums[k], j + k * lanes_per_vector, count);
  }

  HWY_INLINE void finish(floats sum, std::int64_t j, std::int64_t count) const {
    const lookup_block& block = this->current;
    float* const total = this->job.totals + j;
    const floats before = block.first ? hn::Zero(float_lanes) : hn::LoadU(float_lanes, total);
    floats x = hn::Add(before, sum);
    if (!block.last) {
      hn::StoreU(x, float_lanes, total);
      return;
    }
    if (this->job.feature.mode == pooling_mode::mean && block.counted > 0) {
      x = hn::Div(x, hn::Set(float_lanes, static_cast<float>(block.counted)));
    }
    store_as(x, this->job.output_type, this->job.feature.output, this->output_index(j), count);
  }
};

template <typename Row>
struct max_strip : block_strip<Row> {
  template <int Vectors, bool Partial>
  HWY_INLINE void at(std::int64_t j, std::int64_t count) const {
    const lookup_block& block = this->current;
    const hn::Rebind<std::int32_t, float_tag> words;
    for (int k = 0; k < Vectors; ++k) {
      const std::int64_t column = j + k * lanes_per_vector;
      float* const total = this->job.totals + column;
      std::int32_t* const winner = this->job.winners + column;
      floats best = block.first ? hn::Zero(float_lanes) : hn::LoadU(float_lanes, total);
      auto won = block.first ? hn::Set(words, -1) : hn::LoadU(words, winner);
      for (int i = 0; i < block.size; ++i) {
        if (k == 0) this->prefetch_next(j, i);
        const Row* const row = static_cast<const Row*>(block.rows[i]);
        const floats x = row == nullptr
                             ? hn::Zero(float_lanes)
                             : block_strip<Row>::template load_part<Partial>(row + column, count);
        const auto none_yet = hn::Lt(won, hn::Zero(words));
        const auto wins = hn::Or(hn::Gt(x, best), hn::RebindMask(float_lanes, none_yet));
        best = hn::IfThenElse(wins, x, best);
        won = hn::IfThenElse(hn::RebindMask(words, wins), hn::Set(words, block.positions[i]), won);
      }
      hn::StoreU(best, float_lanes, total);
      hn::StoreU(won, words, winner);
      if (block.last) finish(best, column, count);
    }
  }

  HWY_INLINE void finish(floats best, std::int64_t column, std::int64_t count) const {
    const feature_record& feature = this->job.feature;
    store_as(best, this->job.output_type, feature.output, this->output_index(column), count);
    if (feature.max_positions == nullptr) return;
    std::memcpy(feature.max_positions + this->current.bag * this->job.table.dim +
                    this->job.first_column + column,
                this->job.winners + column, static_cast<std::size_t>(count) * sizeof(std::int32_t));
  }
};

template <typename Row, typename Index, typename Strip>
void pool_bags(const pool_job& job) {
  block_walker<Row, Index> blocks(job, bags_of_chunk<Index>(job.feature, job.chunk));
  lookup_block pair[2];
  lookup_block* block = &pair[0];
  lookup_block* next = &pair[1];
  bool more = blocks.next(*block);
  while (more) {
    next->size = 0;
    more = blocks.next(*next);
    const Strip strip{{job, *block, *next}};
    for (int i = block->size; i < next->size; ++i) strip.prefetch_next(0, i);
    for_each_strip(0, job.last_column - job.first_column, strip);
    std::swap(block, next);
  }
}

/// Mode none copies row after row of the chunk's positions; those of bad ids, and those beyond the
/// last bag, are rows of zeros.
template <typename Row>
struct copy_strip {
  const Row* row;  // nullptr: zeros
  const pool_job& job;
  std::int64_t position;

  template <int Vectors, bool Partial>
  HWY_INLINE void at(std::int64_t j, std::int64_t count) const {
    for (int k = 0; k < Vectors; ++k) {
      const std::int64_t column = j + k * lanes_per_vector;
      const floats x = row == nullptr
                           ? hn::Zero(float_lanes)
                           : block_strip<Row>::template load_part<Partial>(row + column, count);
      store_as(x, job.output_type, job.feature.output,
               position * job.feature.output_stride + column, count);
    }
  }
};

template <typename Row, typename Index>
void copy_rows(const pool_job& job) {
  const Index* const ids = static_cast<const Index*>(job.feature.ids);
  const std::int64_t covered = bag_positions<Index>(job.feature).covered();
  const auto row_at = [&](std::int64_t position) -> const Row* {
    if (position >= covered) return nullptr;
    const std::int64_t id = ids[position];
    const bool bad = classify(id, job.table.num_rows, -1) == lookup_kind::bad;
    return bad ? nullptr : static_cast<const Row*>(job.table.rows) + id * job.table.row_stride;
  };
  constexpr std::int64_t rows_ahead = 8;
  const std::int64_t first = job.chunk * lookups_per_chunk;
  const std::int64_t last = std::min(first + lookups_per_chunk, job.feature.num_ids);
  for (std::int64_t position = first; position < last; ++position) {
    const Row* const ahead = position + rows_ahead < last ? row_at(position + rows_ahead) : nullptr;
    if (ahead != nullptr) prefetch_row(ahead, job.table.dim * std::int64_t{sizeof(Row)});
    for_each_strip(0, job.table.dim, copy_strip<Row>{row_at(position), job, position});
  }
}

template <typename Row, typename Index>
void pool_typed(const pool_job& job) {
  switch (job.feature.mode) {
    case pooling_mode::none: copy_rows<Row, Index>(job); return;
    case pooling_mode::max: pool_bags<Row, Index, max_strip<Row>>(job); return;
    case pooling_mode::sum:
    case pooling_mode::mean:
      if (job.feature.weights != nullptr) {
        pool_bags<Row, Index, sum_strip<Row, true>>(job);
      } else {
        pool_bags<Row, Index, sum_strip<Row, false>>(job);
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

constexpr std::int64_t columns_per_part = 32;  // two cache lines of fp32

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
