// SPDX-License-Identifier: Apache-2.0
// A bag pooled, strip of columns by strip (N2).
#if defined(WARPBAG_CPU_POOL_STRIPS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef WARPBAG_CPU_POOL_STRIPS_INL_HPP
#undef WARPBAG_CPU_POOL_STRIPS_INL_HPP
#else
#define WARPBAG_CPU_POOL_STRIPS_INL_HPP
#endif

#include <algorithm>

#include "cpu/pool_job.hpp"
#include "cpu/simd-inl.hpp"
#include "numerics/gradient_tree.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

/// The lookups of a chunk: of which rows they are.
template <typename Row, typename Index>
class lookups {
 public:
  /// Nothing at `end` or after it is asked for ahead.
  lookups(const pool_job& job, std::int64_t end)
      : ids_(static_cast<const Index*>(job.feature.ids)),
        rows_(static_cast<const Row*>(job.table.rows)),
        stride_(job.table.row_stride),
        num_rows_(job.table.num_rows),
        padding_idx_(job.table.padding_idx),
        end_(end),
        is_near_(num_rows_ * stride_ * std::int64_t{sizeof(Row)} <= tuning::near_table_bytes),
        straddles_(stride_ * std::int64_t{sizeof(Row)} % tuning::cache_line_bytes != 0) {}

  HWY_INLINE lookup_kind kind(std::int64_t position) const {
    return classify(ids_[position], num_rows_, padding_idx_);
  }
  /// Of a lookup that is live.
  HWY_INLINE const Row* row(std::int64_t position) const {
    return rows_ + std::int64_t{ids_[position]} * stride_;
  }

  /// Lookups before this one ask for the row of one that comes after them; a strip has Vectors
  /// vectors.
  template <int Vectors>
  HWY_INLINE std::int64_t asking_end() const {
    return is_near_ ? 0 : end_ - rows_ahead<Vectors>();
  }

  /// Asks for columns [first, first + count) of a row that is read some lookups later. A bad id
  /// asks for an address that is not there, which does nothing. `asked`: the id asked for last,
  /// which is on its way: where one row is most of a bag, asking again takes as long as adding it.
  template <int Vectors>
  HWY_INLINE void prefetch_after(std::int64_t position, std::int64_t first, std::int64_t count,
                                 Index& asked) const {
    const Index id = ids_[position + rows_ahead<Vectors>()];
    if (id == asked) return;
    asked = id;
    const auto element = static_cast<std::uint64_t>(id) * static_cast<std::uint64_t>(stride_) +
                         static_cast<std::uint64_t>(first);
    const std::uint64_t address = reinterpret_cast<std::uint64_t>(rows_) + element * sizeof(Row);
    const std::uint64_t bytes = static_cast<std::uint64_t>(count) * sizeof(Row);
    for (std::uint64_t offset = 0; offset < bytes; offset += tuning::cache_line_bytes) {
      __builtin_prefetch(reinterpret_cast<const void*>(address + offset));
    }
    if (straddles_) __builtin_prefetch(reinterpret_cast<const void*>(address + bytes - 1));
  }

 private:
  template <int Vectors>
  static constexpr std::int64_t rows_ahead() {
    return tuning::rows_ahead(Vectors * lanes_per_vector * std::int64_t{sizeof(Row)});
  }

  const Index* ids_;
  const Row* rows_;
  std::int64_t stride_;
  std::int64_t num_rows_;
  std::int64_t padding_idx_;
  std::int64_t end_;
  bool is_near_;    // rows need not be asked for
  bool straddles_;  // rows do not begin at cache lines
};

/// How vectors lie on a strip of columns: side by side; with the last of them moved back so far
/// that they end with the strip; or one that is wider than the strip.
enum class strip_form : std::uint8_t { whole, overlapping, partial };

template <strip_form Form>
HWY_INLINE std::int64_t column_of(int k, std::int64_t count) {
  if constexpr (Form == strip_form::partial) return 0;
  const std::int64_t column = k * lanes_per_vector;
  return Form == strip_form::overlapping ? std::min(column, count - lanes_per_vector) : column;
}

template <strip_form Form, typename Row>
HWY_INLINE floats load_vector(const Row* strip, int k, std::int64_t count) {
  if constexpr (Form == strip_form::partial) return load_first(strip, count);
  return load(strip + column_of<Form>(k, count));
}

template <strip_form Form>
HWY_INLINE void store_vector(floats x, float* strip, int k, std::int64_t count) {
  if constexpr (Form == strip_form::partial) {
    store_first(x, strip, count);
  } else {
    hn::StoreU(x, float_lanes, strip + column_of<Form>(k, count));
  }
}

/// Calls strip.at<Vectors, Form>(first, count) for consecutive strips of columns. Where a strip is
/// not as wide as its vectors, some columns are done twice. (Whole strips of 4 and of 2 vectors
/// would gain nothing over overlapping ones and take a quarter of the time to compile.)
template <typename Strip>
HWY_INLINE void pool_strips(std::int64_t first, std::int64_t last, const Strip& strip) {
  constexpr std::int64_t lanes = lanes_per_vector;
  for (; first + 8 * lanes <= last; first += 8 * lanes) {
    strip.template at<8, strip_form::whole>(first, 8 * lanes);
  }
  while (last - first > lanes) {
    const std::int64_t count = std::min(last - first, 4 * lanes);
    if (count > 2 * lanes) {
      strip.template at<4, strip_form::overlapping>(first, count);
    } else {
      strip.template at<2, strip_form::overlapping>(first, count);
    }
    first += count;
  }
  if (last - first == lanes) {
    strip.template at<1, strip_form::whole>(first, lanes);
  } else if (last > first) {
    strip.template at<1, strip_form::partial>(first, last - first);
  }
}

/// One bag, positions [begin, end), pooled into pooled[column].
template <typename Row, typename Index, bool Weighted>
struct sum_strip {
  const lookups<Row, Index>& rows;
  const float* weights;
  std::int64_t begin;
  std::int64_t end;
  float divisor;  // 0: none
  float* pooled;

  template <int Vectors, strip_form Form>
  HWY_INLINE void at(std::int64_t column, std::int64_t count) const {
    const lookups<Row, Index> looked_up = rows;  // in registers
    const std::int64_t asking_end = looked_up.template asking_end<Vectors>();
    floats totals[std::size_t{Vectors}];
    for (int k = 0; k < Vectors; ++k) totals[k] = hn::Zero(float_lanes);
    Index asked = -1;
    for (std::int64_t block = begin; block < end; block += numerics::block_occurrences) {
      floats sums[std::size_t{Vectors}];
      for (int k = 0; k < Vectors; ++k) sums[k] = hn::Zero(float_lanes);
      const std::int64_t stop = std::min(block + numerics::block_occurrences, end);
      const auto add = [&](std::int64_t position) HWY_ATTR {
        if (looked_up.kind(position) != lookup_kind::live) return;
        const Row* const row = looked_up.row(position) + column;
        const floats weight = hn::Set(float_lanes, Weighted ? weights[position] : 1.0F);
        for (int k = 0; k < Vectors; ++k) {
          const floats x = load_vector<Form>(row, k, count);
          sums[k] = Weighted ? fused_multiply_add(weight, x, sums[k]) : hn::Add(sums[k], x);
        }
      };
      std::int64_t position = block;
      for (const std::int64_t last = std::min(stop, asking_end); position < last; ++position) {
        looked_up.template prefetch_after<Vectors>(position, column, count, asked);
        add(position);
      }
      for (; position < stop; ++position) add(position);
      for (int k = 0; k < Vectors; ++k) totals[k] = hn::Add(totals[k], sums[k]);
    }
    for (int k = 0; k < Vectors; ++k) {
      const floats x =
          divisor != 0.0F ? hn::Div(totals[k], hn::Set(float_lanes, divisor)) : totals[k];
      store_vector<Form>(x, pooled + column, k, count);
    }
  }
};

template <typename Row, typename Index>
struct max_strip {
  const lookups<Row, Index>& rows;
  bool bad_ids_are_zero_rows;
  std::int64_t begin;
  std::int64_t end;
  float* pooled;
  std::int32_t* winners;  // [padded dim]

  template <int Vectors, strip_form Form>
  HWY_INLINE void at(std::int64_t column, std::int64_t count) const {
    const hn::Rebind<std::int32_t, float_tag> words;
    floats best[std::size_t{Vectors}];
    hn::Vec<decltype(words)> won[std::size_t{Vectors}];
    for (int k = 0; k < Vectors; ++k) {
      best[k] = hn::Zero(float_lanes);
      won[k] = hn::Set(words, -1);
    }
    const std::int64_t asking_end = rows.template asking_end<Vectors>();
    Index asked = -1;
    for (std::int64_t position = begin; position < end; ++position) {
      if (position < asking_end) {
        rows.template prefetch_after<Vectors>(position, column, count, asked);
      }
      const lookup_kind kind = rows.kind(position);
      const bool zero_row = kind == lookup_kind::bad && bad_ids_are_zero_rows;
      if (kind != lookup_kind::live && !zero_row) continue;
      const auto place = hn::Set(words, static_cast<std::int32_t>(position - begin));
      for (int k = 0; k < Vectors; ++k) {
        const floats x = zero_row ? hn::Zero(float_lanes)
                                  : load_vector<Form>(rows.row(position) + column, k, count);
        const auto none_yet = hn::Lt(won[k], hn::Zero(words));
        const auto wins = hn::Or(hn::Gt(x, best[k]), hn::RebindMask(float_lanes, none_yet));
        best[k] = hn::IfThenElse(wins, x, best[k]);
        won[k] = hn::IfThenElse(hn::RebindMask(words, wins), place, won[k]);
      }
    }
    for (int k = 0; k < Vectors; ++k) {
      store_vector<Form>(best[k], pooled + column, k, count);
      hn::StoreU(won[k], words, winners + column + column_of<Form>(k, count));
    }
  }
};

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
