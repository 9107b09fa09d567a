// SPDX-License-Identifier: Apache-2.0
#pragma once
// The finished gradient of one row and the optimizer step on it, by one group of lanes. The
// gradient lies in lane-private memory: strip s of a lane's quad at gradient[s * strip_columns].
// Formulas: numerics/optimizer_rules.hpp; this file moves data and keeps the order of N4.

#include <type_traits>

#include "kernels/common/device_problem.cuh"
#include "kernels/common/lane_group.cuh"
#include "numerics/optimizer_rules.hpp"
#include "numerics/philox.hpp"

namespace warpbag::kernels {

/// One row of any stored type.
struct row_view {
  void* data;
  dtype type;
  int width;  // elements per access
  std::int32_t dim;

  __device__ __forceinline__ row_view(void* base, dtype type_, std::int64_t stride,
                                      std::int32_t dim_, std::int64_t row, int width_)
      : data(static_cast<char*>(base) + row * stride * (type_ == dtype::f32 ? 4 : 2)),
        type(type_),
        width(width_),
        dim(dim_) {}

  __device__ __forceinline__ quad load(std::int32_t column) const {
    quad result;
    with_row_access(type, width, [&](auto access) {
      using Access = decltype(access);
      using Stored = typename Access::stored;
      result = load_quad<Access::width>(static_cast<const Stored*>(data), column, dim);
    });
    return result;
  }

  /// Rounds to nearest even.
  __device__ __forceinline__ void store(std::int32_t column, const quad& values) const {
    with_row_access(type, width, [&](auto access) {
      using Access = decltype(access);
      using Stored = typename Access::stored;
      store_quad<Access::width>(static_cast<Stored*>(data), column, dim, values);
    });
  }

  __device__ __forceinline__ void store_stochastic(std::int32_t column, const quad& values,
                                                   const numerics::philox_block& random) const {
    with_row_access(type, width, [&](auto access) {
      using Access = decltype(access);
      using Stored = typename Access::stored;
      Stored stored[quad_elements];
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        stored[i] = numerics::narrow_stochastic<Stored>(values.value[i], random.word[i]);
      }
      store_stored<Access::width>(static_cast<Stored*>(data), column, dim, stored);
    });
  }
};

inline constexpr int strip_bytes = strip_columns * static_cast<int>(sizeof(float));

/// A lane's quads of a gradient, strip by strip.
struct lane_gradient {
  float* data;

  __device__ __forceinline__ quad load(int strip) const { return load_at(strip * strip_bytes); }
  __device__ __forceinline__ quad load_at(int bytes) const {
    const char* const place = reinterpret_cast<const char*>(data) + bytes;
    const float4 x = *reinterpret_cast<const float4*>(place);
    return {{x.x, x.y, x.z, x.w}};
  }
  __device__ __forceinline__ void store(int strip, const quad& x) const {
    store_at(strip * strip_bytes, x);
  }
  __device__ __forceinline__ void store_at(int bytes, const quad& x) const {
    char* const place = reinterpret_cast<char*>(data) + bytes;
    *reinterpret_cast<float4*>(place) = make_float4(x.value[0], x.value[1], x.value[2], x.value[3]);
  }
};

__device__ __forceinline__ std::int32_t column_of(const lane_group& group, int strip) {
  return strip * strip_columns + group.lane * quad_elements;
}

__device__ __forceinline__ float add_squares(float sum, const quad& x) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) {
    sum = numerics::fused_multiply_add(x.value[i], x.value[i], sum);
  }
  return sum;
}

/// Gives every element of a lane's part of a gradient to `change` and takes what it returns.
template <typename Change>
__device__ __forceinline__ void change_gradient(const lane_group& group, std::int32_t dim,
                                                lane_gradient gradient, Change change) {
#pragma unroll 1
  for (int strip = 0; column_of(group, strip) < dim; ++strip) {
    quad g = gradient.load(strip);
#pragma unroll
    for (float& value : g.value) value = change(value);
    gradient.store(strip, g);
  }
}

/// Frequency scaling and clipping, in place. Columns beyond the row that a quad of it has are and
/// stay zero. Of a part of a row the norm is not known here: clip_part_of_row().
__device__ __forceinline__ void finish_gradient(const table_record& table, const lane_group& group,
                                                std::int64_t frequency, lane_gradient gradient) {
  const std::int32_t dim = table.dim;
  if (frequency != 1) {
    const auto count = static_cast<float>(frequency);
    change_gradient(group, dim, gradient,
                    [&](float g) { return numerics::frequency_scaled(g, count); });
  }
  const float limit = table.optimizer.clipping_limit;
  if (table.optimizer.clipping == clipping_kind::value) {
    change_gradient(group, dim, gradient, [&](float g) { return numerics::clamped(g, limit); });
  }
  if (table.optimizer.clipping == clipping_kind::norm && table.shard.row_lanes[0] == nullptr) {
    float squares = 0.0F;
#pragma unroll 1
    for (int strip = 0; column_of(group, strip) < dim; ++strip) {
      squares = add_squares(squares, gradient.load(strip));
    }
    const float scale = numerics::clip_scale(group.sum(squares), limit);
    change_gradient(group, dim, gradient, [&](float g) { return g * scale; });
  }
}

/// True when state `index` is [rows, dim]; else it is [rows] or not there.
__device__ __forceinline__ bool has_element_state(const table_record& table, int index) {
  const optimizer_kind per_row =
      index == 0 ? optimizer_kind::rowwise_adagrad : optimizer_kind::partial_rowwise_adam;
  return table.state[index] != nullptr && table.optimizer.kind != per_row;
}

inline __device__ __noinline__ float sum_of_lanes(const float* lanes) {
  return numerics::combined_lanes(lanes, numerics::add_lanes{});
}

/// Sums over a row: over its group, or of a table that has a part of the columns over the lanes
/// that backend::add_row_lanes has gathered.
struct row_sums {
  const table_record& table;
  const lane_group& group;
  std::int64_t touched;  // of such a table: which of the touched rows; else whole_row

  static constexpr std::int64_t whole_row = -1;

  __device__ __forceinline__ std::int32_t dim() const {
    return touched == whole_row ? table.dim : table.shard.whole_dim;
  }
  __device__ __forceinline__ float sum(int index, float of_lane) const {
    if (touched == whole_row) return group.sum(of_lane);
    return sum_of_lanes(table.shard.row_lanes[index] + touched * numerics::num_lanes);
  }
};

template <optimizer_kind Kind>
using kind_constant = std::integral_constant<optimizer_kind, Kind>;

/// One quad of weights, with its states, by its decayed gradient.
__device__ __forceinline__ void step_elements(const optimizer_options& options,
                                              const numerics::step_factors& factors, quad& w,
                                              quad (&states)[2], const quad& g, float row_state) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) {
    numerics::element x = {numerics::decayed_weight(options, factors.learning_rate, w.value[i]),
                           {states[0].value[i], states[1].value[i]}};
    numerics::update_element(options, factors, x, g.value[i], row_state);
    w.value[i] = x.weight;
    states[0].value[i] = x.state[0];
    states[1].value[i] = x.state[1];
  }
}

/// A row's new weights, which an update has left in the place of its gradient, where they are to be
/// rounded stochastically.
__device__ __forceinline__ void store_rounded_row(const table_record& table,
                                                  const lane_group& group, std::int64_t row,
                                                  lane_gradient weights, int row_width) {
  const std::int64_t id = table.shard.id_of(row);
  const row_view stored(table.rows, table.row_type, table.row_stride, table.dim, row, row_width);
#pragma unroll 1
  for (int strip = 0; column_of(group, strip) < table.dim; ++strip) {
    const std::int32_t column = column_of(group, strip);
    std::uint64_t seed = table.seed;
    asm volatile("" : "+l"(seed));  // else the keys of all ten rounds are kept from row to row
    const numerics::philox_block random = numerics::random_words(
        seed, numerics::random_use::rounding, table.rng_table, static_cast<std::uint64_t>(id),
        static_cast<std::uint32_t>((table.shard.first_column + column) / quad_elements),
        table.step->step);
    stored.store_stochastic(column, weights.load(strip), random);
  }
}

/// The optimizer step of one row whose gradient is finished; store_rounded_row() is left to the
/// caller. `touched`: row_sums::touched.
class row_updater {
 public:
  __device__ __forceinline__ row_updater(const table_record& table,
                                         const numerics::step_factors& factors,
                                         const lane_group& group, std::int64_t row,
                                         lane_gradient gradient, int row_width,
                                         std::int64_t touched = row_sums::whole_row)
      : table_(table),
        options_(table.optimizer),
        factors_(factors),
        group_(group),
        row_(row),
        gradient_(gradient),
        weights_(table.rows, table.row_type, table.row_stride, table.dim, row, row_width),
        sums_{table, group, touched} {}

  __device__ __forceinline__ void update() const {
    if (options_.kind == optimizer_kind::lamb) {
      update_by_lamb();
    } else {
      update_elements(numerics::needs_mean_square(options_.kind) ? updated_row_state() : 0.0F);
    }
  }

 private:
  /// The row's state, per rowwise_adagrad and partial_rowwise_adam, from its squared decayed
  /// gradients.
  __device__ __forceinline__ float updated_row_state() const {
    float sum = 0.0F;
    for (int strip = 0; strip < num_strips(table_.dim); ++strip) {
      quad g = gradient_.load(strip);
      if (options_.decay_mode == weight_decay_mode::l2) {
        g = decayed(g, weights_.load(column_of(group_, strip)));
      }
      sum = add_squares(sum, g);
    }
    const float mean = numerics::mean_square(sums_.sum(1, sum), sums_.dim());
    float state = 0.0F;
    if (group_.lane == 0) {
      float* stored = table_.state[options_.kind == optimizer_kind::rowwise_adagrad ? 0 : 1] + row_;
      state = numerics::update_row_state(options_, *stored, mean);
      *stored = state;
    }
    return group_.broadcast(state, 0);
  }

  __device__ __forceinline__ void update_elements(float row_state) const {
    const bool has_state[2] = {has_element_state(table_, 0), has_element_state(table_, 1)};
    for (int strip = 0; strip < num_strips(table_.dim); ++strip) {
      const std::int32_t column = column_of(group_, strip);
      quad w = weights_.load(column);
      quad states[2] = {};
      for (int s = 0; s < 2; ++s) {
        if (has_state[s]) states[s] = load_state(s, column);
      }
      const quad g = decayed(gradient_.load(strip), w);
      update_quad(w, states, g, row_state);
      for (int s = 0; s < 2; ++s) {
        if (has_state[s]) store_state(s, column, states[s]);
      }
      store_weights(strip, w);
    }
  }

  __device__ __forceinline__ void update_quad(quad& w, quad (&states)[2], const quad& g,
                                              float row_state) const {
    const auto update_as = [&](auto kind) {
      optimizer_options options = options_;
      options.kind =
          decltype(kind)::value;  // known to the compiler: one case of the switch is left
      step_elements(options, factors_, w, states, g, row_state);
    };
    switch (options_.kind) {
      case optimizer_kind::sgd: update_as(kind_constant<optimizer_kind::sgd>{}); return;
      case optimizer_kind::adagrad: update_as(kind_constant<optimizer_kind::adagrad>{}); return;
      case optimizer_kind::rowwise_adagrad:
        update_as(kind_constant<optimizer_kind::rowwise_adagrad>{});
        return;
      case optimizer_kind::adam:
      case optimizer_kind::adamw: update_as(kind_constant<optimizer_kind::adamw>{}); return;
      case optimizer_kind::partial_rowwise_adam:
        update_as(kind_constant<optimizer_kind::partial_rowwise_adam>{});
        return;
      case optimizer_kind::ftrl: update_as(kind_constant<optimizer_kind::ftrl>{}); return;
      case optimizer_kind::lamb: return;  // update_by_lamb
    }
  }

  /// Two sweeps with the trust ratio between them; the direction takes the gradient's place.
  __device__ __forceinline__ void update_by_lamb() const {
    float weight_squares = 0.0F;
    float direction_squares = 0.0F;
    for (int strip = 0; strip < num_strips(table_.dim); ++strip) {
      const std::int32_t column = column_of(group_, strip);
      const quad w = weights_.load(column);
      const quad g = gradient_.load(strip);
      quad m = load_state(0, column);
      quad v = load_state(1, column);
      quad direction;
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        numerics::element x = {w.value[i], {m.value[i], v.value[i]}};
        const float u = numerics::lamb_direction(options_, factors_, x, g.value[i]);
        direction.value[i] = column + i < table_.dim ? u : 0.0F;  // 0 / eps is NaN for eps = 0
        m.value[i] = x.state[0];
        v.value[i] = x.state[1];
      }
      store_state(0, column, m);
      store_state(1, column, v);
      gradient_.store(strip, direction);
      weight_squares = add_squares(weight_squares, w);
      direction_squares = add_squares(direction_squares, direction);
    }
    const float ratio =
        numerics::trust_ratio(sums_.sum(1, weight_squares), sums_.sum(2, direction_squares));
    for (int strip = 0; strip < num_strips(table_.dim); ++strip) {
      const std::int32_t column = column_of(group_, strip);
      quad w = weights_.load(column);
      const quad direction = gradient_.load(strip);
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        w.value[i] = numerics::lamb_weight(factors_, w.value[i], direction.value[i], ratio);
      }
      store_weights(strip, w);
    }
  }

  /// States are contiguous rows of fp32.
  __device__ __forceinline__ float* state_row(int index) const {
    return table_.state[index] + row_ * table_.dim;
  }
  __device__ __forceinline__ bool state_has_quads(int index) const {
    return access_width(table_.state[index], table_.dim, table_.dim, dtype::f32) == quad_elements;
  }
  __device__ __forceinline__ quad load_state(int index, std::int32_t column) const {
    return state_has_quads(index) ? load_quad<quad_elements>(state_row(index), column, table_.dim)
                                  : load_quad<1>(state_row(index), column, table_.dim);
  }
  __device__ __forceinline__ void store_state(int index, std::int32_t column,
                                              const quad& values) const {
    if (state_has_quads(index)) {
      store_quad<quad_elements>(state_row(index), column, table_.dim, values);
    } else {
      store_quad<1>(state_row(index), column, table_.dim, values);
    }
  }

  __device__ __forceinline__ quad decayed(const quad& gradient, const quad& weights) const {
    quad result;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      result.value[i] = numerics::decayed_gradient(options_, gradient.value[i], weights.value[i]);
    }
    return result;
  }

  __device__ __forceinline__ void store_weights(int strip, const quad& w) const {
    if (rounds_stochastically(table_)) {
      gradient_.store(strip, w);
    } else {
      weights_.store(column_of(group_, strip), w);
    }
  }

  const table_record& table_;
  const optimizer_options& options_;
  const numerics::step_factors& factors_;
  const lane_group& group_;
  std::int64_t row_;
  lane_gradient gradient_;
  row_view weights_;
  row_sums sums_;
};

}  // namespace warpbag::kernels
