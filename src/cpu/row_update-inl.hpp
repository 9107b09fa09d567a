// SPDX-License-Identifier: Apache-2.0
// What happens to the summed gradient of a row: frequency and clipping, then the optimizer. The
// formulas are those of numerics/optimizer_rules.hpp, element by element in plain loops, which the
// compiler turns into vectors of the instruction set that this file is included for.
#if defined(WARPBAG_CPU_ROW_UPDATE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef WARPBAG_CPU_ROW_UPDATE_INL_HPP
#undef WARPBAG_CPU_ROW_UPDATE_INL_HPP
#else
#define WARPBAG_CPU_ROW_UPDATE_INL_HPP
#endif

#include <algorithm>

#include "cpu/simd-inl.hpp"
#include "cpu/workspace.hpp"
#include "numerics/optimizer_rules.hpp"
#include "numerics/philox.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

using operations::table_record;

HWY_INLINE void zero_padding(float* row, std::int64_t dim) {
  for (std::int64_t j = dim; j < padded(dim); ++j) row[j] = 0.0F;
}

/// Frequency scaling and clipping of a sum in scratch; its padding becomes zero.
HWY_INLINE void finish_gradient(const table_record& table, float* HWY_RESTRICT gradient,
                                std::int64_t occurrences) {
  const std::int64_t dim = table.dim;
  const optimizer_options& options = table.optimizer;
  zero_padding(gradient, dim);
  if (table.scale_grad_by_freq && occurrences > 1) {
    const auto count = static_cast<float>(occurrences);
    for (std::int64_t j = 0; j < dim; ++j) {
      gradient[j] = numerics::frequency_scaled(gradient[j], count);
    }
  }
  if (options.clipping == clipping_kind::value) {
    for (std::int64_t j = 0; j < dim; ++j) {
      gradient[j] = numerics::clamped(gradient[j], options.clipping_limit);
    }
  } else if (options.clipping == clipping_kind::norm && table.shard.row_lanes[0] == nullptr) {
    const float scale = numerics::clip_scale(dot(gradient, gradient, dim), options.clipping_limit);
    if (scale != 1.0F) {
      for (std::int64_t j = 0; j < dim; ++j) gradient[j] *= scale;
    }
  }
}

/// The record has but a part of the columns of its rows.
HWY_INLINE bool is_part_of_columns(const table_record& table) {
  return table.shard.row_lanes[0] != nullptr;
}

/// Sum over the whole row, the table's `touched`-th, of which the record has a part.
HWY_INLINE float whole_row_sum(const table_record& table, int index, std::int64_t touched) {
  return numerics::combined_lanes(table.shard.row_lanes[index] + touched * numerics::num_lanes,
                                  numerics::add_lanes{});
}

/// Clipping by the norm of the whole row.
HWY_INLINE void clip_part_of_columns(const table_record& table, std::int64_t touched,
                                     float* HWY_RESTRICT gradient) {
  const optimizer_options& options = table.optimizer;
  if (options.clipping != clipping_kind::norm) return;
  const float scale =
      numerics::clip_scale(whole_row_sum(table, 0, touched), options.clipping_limit);
  if (scale == 1.0F) return;
  for (std::int64_t j = 0; j < table.dim; ++j) gradient[j] *= scale;
}

/// The optimizer of one table in one step.
class row_optimizer {
 public:
  /// A table whose gradients are only written out may have no step; then update() is not called.
  explicit row_optimizer(const table_record& table)
      : table_(table),
        factors_(table.step == nullptr ? numerics::step_factors{}
                                       : numerics::make_step_factors(*table.step)) {}

  /// The step on one row. rows.gradient holds the finished gradient, with zero padding. A part of
  /// the columns: it is of the table's `touched`-th touched row.
  void update(std::int64_t row, const thread_rows& rows, std::int64_t touched = 0) const {
    switch (table_.row_type) {
      case dtype::f32: update_stored<float>({row, touched}, rows); return;
      case dtype::f16: update_stored<f16>({row, touched}, rows); return;
      case dtype::bf16: update_stored<bf16>({row, touched}, rows); return;
    }
  }

  void prefetch(std::int64_t row) const {
    const std::int64_t row_bytes =
        table_.row_stride * static_cast<std::int64_t>(size_of(table_.row_type));
    prefetch_row(static_cast<const std::byte*>(table_.rows) + row * row_bytes, row_bytes);
    for (int index = 0; index < 2; ++index) {
      const float* const state = table_.state[index];
      if (state == nullptr) continue;
      const bool per_row = optimizer_state_shape(table_.optimizer, index) == state_shape::per_row;
      const std::int64_t width = per_row ? 1 : table_.dim;
      prefetch_row(state + row * width, width * std::int64_t{sizeof(float)});
    }
  }

 private:
  struct touched_row {
    std::int64_t row;
    std::int64_t touched;
  };

  template <typename Row>
  void update_stored(const touched_row& at, const thread_rows& rows) const {
    Row* const stored = static_cast<Row*>(table_.rows) + at.row * table_.row_stride;
    const bool in_place =
        std::is_same_v<Row, float> && table_.optimizer.kind != optimizer_kind::lamb;
    if constexpr (std::is_same_v<Row, float>) {
      if (in_place) {
        update_weights(at, stored, rows);
        return;
      }
    }
    widen_row(stored, rows.weight, table_.dim, padded(table_.dim));
    update_weights(at, rows.weight, rows);
    if (table_.optimizer.stochastic_rounding) {
      narrow_stochastic(at.row, rows.weight, stored);
    } else {
      narrow_row(rows.weight, stored, table_.dim);
    }
  }

  // Random words are made a vector of quads at a time.
  static constexpr std::int64_t columns_at_once = 4 * lanes_per_vector;

  template <typename Row>
  void narrow_stochastic(std::int64_t row, const float* from, Row* to) const {
    const auto id = static_cast<std::uint64_t>(table_.shard.id_of(row));
    const std::uint64_t seed = table_.seed;
    const std::uint32_t rng_table = table_.rng_table;
    const std::uint64_t step = table_.step->step;
    for (std::int64_t first = 0; first < table_.dim; first += columns_at_once) {
      const auto first_quad = static_cast<std::uint32_t>((table_.shard.first_column + first) / 4);
      std::uint32_t words[columns_at_once];
      for (std::uint32_t q = 0; q < columns_at_once / 4; ++q) {
        const numerics::philox_block random = numerics::random_words(
            seed, numerics::random_use::rounding, rng_table, id, first_quad + q, step);
        for (std::uint32_t k = 0; k < 4; ++k) words[4 * q + k] = random.word[k];
      }
      const std::int64_t count = std::min<std::int64_t>(columns_at_once, table_.dim - first);
      for (std::int64_t j = 0; j < count; ++j) {
        to[first + j] = numerics::narrow_stochastic<Row>(from[first + j], words[j]);
      }
    }
  }

  void update_weights(const touched_row& at, float* weights, const thread_rows& rows) const {
    decay(weights, rows.gradient);
    switch (table_.optimizer.kind) {
      case optimizer_kind::sgd:
        if (table_.optimizer.momentum != 0.0F) {
          update_elements<optimizer_kind::sgd, 1>(at, weights, rows.gradient);
        } else {
          update_elements<optimizer_kind::sgd, 0>(at, weights, rows.gradient);
        }
        return;
      case optimizer_kind::adagrad:
        update_elements<optimizer_kind::adagrad, 1>(at, weights, rows.gradient);
        return;
      case optimizer_kind::rowwise_adagrad:
        update_elements<optimizer_kind::rowwise_adagrad, 0>(at, weights, rows.gradient);
        return;
      case optimizer_kind::adam:
        update_elements<optimizer_kind::adam, 2>(at, weights, rows.gradient);
        return;
      case optimizer_kind::adamw:
        update_elements<optimizer_kind::adamw, 2>(at, weights, rows.gradient);
        return;
      case optimizer_kind::partial_rowwise_adam:
        update_elements<optimizer_kind::partial_rowwise_adam, 1>(at, weights, rows.gradient);
        return;
      case optimizer_kind::ftrl:
        update_elements<optimizer_kind::ftrl, 2>(at, weights, rows.gradient);
        return;
      case optimizer_kind::lamb: update_lamb(at, weights, rows); return;
    }
  }

  void decay(float* HWY_RESTRICT weights, float* HWY_RESTRICT gradient) const {
    const optimizer_options options = table_.optimizer;
    if (options.decay_mode == weight_decay_mode::none) return;
    for (std::int64_t j = 0; j < table_.dim; ++j) {
      gradient[j] = numerics::decayed_gradient(options, gradient[j], weights[j]);
      weights[j] = numerics::decayed_weight(options, factors_.learning_rate, weights[j]);
    }
  }

  /// Updates the state that the row has as a whole and returns it; 0 for kinds without one.
  float advance_row_state(const touched_row& at, const float* gradient) const {
    const optimizer_options& options = table_.optimizer;
    if (!numerics::needs_mean_square(options.kind)) return 0.0F;
    const int index = options.kind == optimizer_kind::rowwise_adagrad ? 0 : 1;
    float& state = table_.state[index][at.row];
    const bool is_part = is_part_of_columns(table_);
    const float sum_of_squares =
        is_part ? whole_row_sum(table_, 1, at.touched) : dot(gradient, gradient, table_.dim);
    const std::int32_t dim = is_part ? table_.shard.whole_dim : table_.dim;
    state = numerics::update_row_state(options, state, numerics::mean_square(sum_of_squares, dim));
    return state;
  }

  /// ElementStates: how many states the kind keeps per element (always the first ones). Kind and
  /// what it does not use are constants in the loop, so that it has no branches.
  template <optimizer_kind Kind, int ElementStates>
  void update_elements(const touched_row& at, float* HWY_RESTRICT weights,
                       const float* HWY_RESTRICT gradient) const {
    optimizer_options options = table_.optimizer;
    options.kind = Kind;
    if (ElementStates == 0) options.momentum = 0.0F;
    const numerics::step_factors factors = factors_;
    const float row_state = advance_row_state(at, gradient);
    const std::int64_t dim = table_.dim;
    float* HWY_RESTRICT state0 = ElementStates > 0 ? table_.state[0] + at.row * dim : nullptr;
    float* HWY_RESTRICT state1 = ElementStates > 1 ? table_.state[1] + at.row * dim : nullptr;
    for (std::int64_t j = 0; j < dim; ++j) {
      numerics::element x = {weights[j], {0.0F, 0.0F}};
      if constexpr (ElementStates > 0) x.state[0] = state0[j];
      if constexpr (ElementStates > 1) x.state[1] = state1[j];
      numerics::update_element(options, factors, x, gradient[j], row_state);
      weights[j] = x.weight;
      if constexpr (ElementStates > 0) state0[j] = x.state[0];
      if constexpr (ElementStates > 1) state1[j] = x.state[1];
    }
  }

  void update_lamb(const touched_row& at, float* HWY_RESTRICT weights,
                   const thread_rows& rows) const {
    const optimizer_options options = table_.optimizer;
    const std::int64_t dim = table_.dim;
    float* HWY_RESTRICT direction = rows.direction;
    const float* HWY_RESTRICT gradient = rows.gradient;
    float* HWY_RESTRICT state0 = table_.state[0] + at.row * dim;
    float* HWY_RESTRICT state1 = table_.state[1] + at.row * dim;
    for (std::int64_t j = 0; j < dim; ++j) {
      numerics::element x = {weights[j], {state0[j], state1[j]}};
      direction[j] = numerics::lamb_direction(options, factors_, x, gradient[j]);
      state0[j] = x.state[0];
      state1[j] = x.state[1];
    }
    zero_padding(direction, dim);
    const float ratio =
        is_part_of_columns(table_)
            ? numerics::trust_ratio(whole_row_sum(table_, 1, at.touched),
                                    whole_row_sum(table_, 2, at.touched))
            : numerics::trust_ratio(dot(weights, weights, dim), dot(direction, direction, dim));
    for (std::int64_t j = 0; j < dim; ++j) {
      weights[j] = numerics::lamb_weight(factors_, weights[j], direction[j], ratio);
    }
  }

  const table_record& table_;
  numerics::step_factors factors_;
};

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
