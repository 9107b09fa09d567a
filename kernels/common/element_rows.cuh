// SPDX-License-Identifier: Apache-2.0
#pragma once
// sgd, adagrad, adam and adamw, which treat every element alone, on the rows of a group two at a
// time. row_updater asks of each row, and of each of its quads, what the optimizer, the states and
// the type of the rows are; here that is asked once for all rows, and what the optimizer goes by
// stays in registers.

#include "kernels/common/optimizer_row.cuh"

namespace warpbag::kernels {

struct element_policy {
  // Rows that a lane asks for before it updates the first: three quads each under adam.
  static constexpr int rows_per_batch = 2;
};

/// Tables whose rows this file updates: what it leaves to row_updater are frequency scaling,
/// clipping, stochastic rounding, L2 decay, sums over rows, rows or states that cannot be read a
/// quad at a time, and ftrl, all of them because the kernels would spill. row_width: elements per
/// access of the rows.
__device__ __forceinline__ bool updates_elements_alone(const table_record& table, int row_width) {
  const optimizer_options& options = table.optimizer;
  using enum optimizer_kind;
  const bool known = options.kind == sgd || options.kind == adagrad || options.kind == adam ||
                     options.kind == adamw;
  bool whole = row_width == quad_elements;
  for (const float* const state : table.state) {
    if (reinterpret_cast<std::uint64_t>(state) % sizeof(float4) != 0) whole = false;
  }
  return known && whole && table.gradient.form == operations::gradient_form::fused &&
         !finishes_gradients(table) && !rounds_stochastically(table) &&
         options.decay_mode != weight_decay_mode::l2;
}

/// A lane's quads of some rows.
struct element_batch {
  static constexpr int size = element_policy::rows_per_batch;

  std::int64_t rows[size];  // -1: none
  quad weights[size];
  quad states[size][2] = {};
};

/// Where the rows of a table are, in registers: in memory a store might change it.
template <int States>
struct element_table {
  void* weights;
  dtype type;
  std::int64_t stride;
  std::int32_t dim;
  float* states[2];

  __device__ __forceinline__ explicit element_table(const table_record& table)
      : weights(table.rows),
        type(table.row_type),
        stride(table.row_stride),
        dim(table.dim),
        states{table.state[0], table.state[1]} {}

  __device__ __forceinline__ void load(element_batch& batch, std::int32_t column) const {
    with_stored_type(type, [&](auto stored) {
      const auto* const base = static_cast<const decltype(stored)*>(weights);
#pragma unroll
      for (int u = 0; u < element_batch::size; ++u) {
        if (batch.rows[u] < 0) continue;
        batch.weights[u] = load_quad<quad_elements>(base + batch.rows[u] * stride, column, dim);
      }
    });
#pragma unroll
    for (int u = 0; u < element_batch::size; ++u) {
      if (batch.rows[u] < 0) continue;
#pragma unroll
      for (int s = 0; s < States; ++s) {
        batch.states[u][s] = load_quad<quad_elements>(states[s] + batch.rows[u] * dim, column, dim);
      }
    }
  }

  __device__ __forceinline__ void store(const element_batch& batch, std::int32_t column) const {
    with_stored_type(type, [&](auto stored) {
      auto* const base = static_cast<decltype(stored)*>(weights);
#pragma unroll
      for (int u = 0; u < element_batch::size; ++u) {
        if (batch.rows[u] < 0) continue;
        store_quad<quad_elements>(base + batch.rows[u] * stride, column, dim, batch.weights[u]);
      }
    });
#pragma unroll
    for (int u = 0; u < element_batch::size; ++u) {
      if (batch.rows[u] < 0) continue;
#pragma unroll
      for (int s = 0; s < States; ++s) {
        store_quad<quad_elements>(states[s] + batch.rows[u] * dim, column, dim, batch.states[u][s]);
      }
    }
  }
};

/// The rows of one group. row_of(i), i < count, is the row of the table that sum i belongs to; -1:
/// none. `sums`: the first of their sums, which are `sum_floats` apart.
template <optimizer_kind Kind, int States, typename RowOf>
__device__ __forceinline__ void update_elements_of(const table_record& table,
                                                   const numerics::step_factors& step,
                                                   const lane_group& group, lane_gradient sums,
                                                   int sum_floats, std::int32_t count,
                                                   RowOf row_of) {
  const numerics::step_factors factors = step;
  const element_table<States> rows(table);
  optimizer_options options = table.optimizer;
  options.kind = Kind;  // as it is: now the compiler knows
  if (Kind == optimizer_kind::sgd && States == 0) options.momentum = 0.0F;
#pragma unroll 1
  for (std::int32_t first = 0; first < count; first += element_batch::size) {
    element_batch batch;
#pragma unroll
    for (int u = 0; u < element_batch::size; ++u) {
      batch.rows[u] = first + u < count ? row_of(first + u) : -1;
    }
#pragma unroll 1
    for (int strip = 0; column_of(group, strip) < rows.dim; ++strip) {
      rows.load(batch, column_of(group, strip));
#pragma unroll
      for (int u = 0; u < element_batch::size; ++u) {
        if (batch.rows[u] < 0) continue;
        const lane_gradient sum = {sums.data + u * sum_floats};
        const quad g = sum.load(strip);
        step_elements(options, factors, batch.weights[u], batch.states[u], g, 0.0F);
      }
      rows.store(batch, column_of(group, strip));
    }
    sums.data += element_batch::size * sum_floats;
  }
}

/// The same for any table of updates_elements_alone().
template <typename RowOf>
__device__ __forceinline__ void update_elements_alone(const table_record& table,
                                                      const numerics::step_factors& factors,
                                                      const lane_group& group, lane_gradient sums,
                                                      int sum_floats, std::int32_t count,
                                                      RowOf row_of) {
  using enum optimizer_kind;
  const auto update_as = [&](auto kind, auto num_states) {
    update_elements_of<decltype(kind)::value, decltype(num_states)::value>(
        table, factors, group, sums, sum_floats, count, row_of);
  };
  using std::integral_constant;
  switch (table.optimizer.kind) {
    case sgd:
      if (table.state[0] == nullptr) {
        update_as(kind_constant<sgd>{}, integral_constant<int, 0>{});
      } else {
        update_as(kind_constant<sgd>{}, integral_constant<int, 1>{});
      }
      return;
    case adagrad: update_as(kind_constant<adagrad>{}, integral_constant<int, 1>{}); return;
    default: update_as(kind_constant<adamw>{}, integral_constant<int, 2>{}); return;
  }
}

}  // namespace warpbag::kernels
