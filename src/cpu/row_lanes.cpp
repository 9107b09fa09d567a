// SPDX-License-Identifier: Apache-2.0
// Sums over rows whose columns are with several owners, in plain loops: the lanes of N4 go from one
// owner to the next between two of them.

#include "cpu/backend.hpp"
#include "numerics/float_formats.hpp"
#include "numerics/row_norm.hpp"

namespace warpbag::cpu {

using numerics::num_lanes;
using operations::row_reduction;

namespace {

using tuning::rows_per_chunk;

float element(const void* data, dtype type, std::int64_t index) {
  switch (type) {
    case dtype::f32: return static_cast<const float*>(data)[index];
    case dtype::f16: return numerics::widen(static_cast<const numerics::f16*>(data)[index]);
    case dtype::bf16: return numerics::widen(static_cast<const numerics::bf16*>(data)[index]);
  }
  return 0.0F;
}

/// The lane sums of one table in one step.
class lane_adder {
 public:
  lane_adder(const table_record& table, row_reduction which)
      : table_(table),
        options_(table.optimizer),
        which_(which),
        kind_(numerics::norm_kind_of(table.norm_type)) {
    if (which == row_reduction::trust_ratio) factors_ = operations::next_step_factors(table);
  }

  /// The table's `touched`-th touched row.
  void add(std::int64_t row, std::int64_t touched) const {
    const float clip = clip_of(touched);
    for (std::int32_t j = 0; j < table_.dim; ++j) {
      const std::int64_t lane = touched * num_lanes + numerics::lane_of(shard().first_column + j);
      const float weight = element(table_.rows, table_.row_type, row * table_.row_stride + j);
      switch (which_) {
        case row_reduction::max_norm: {
          float& sum = shard().row_lanes[0][lane];
          sum = numerics::accumulate_norm(kind_, table_.norm_type, sum, weight);
          break;
        }
        case row_reduction::clip_norm: add_square(0, lane, gradient(touched, j)); break;
        case row_reduction::mean_square:
          add_square(1, lane,
                     numerics::decayed_gradient(options_, gradient(touched, j) * clip, weight));
          break;
        case row_reduction::trust_ratio: {
          const std::int64_t state = row * table_.dim + j;
          numerics::element x = {weight, {table_.state[0][state], table_.state[1][state]}};
          add_square(1, lane, weight);
          add_square(2, lane,
                     numerics::lamb_direction(options_, factors_, x, gradient(touched, j) * clip));
          break;
        }
      }
    }
  }

 private:
  const operations::shard_record& shard() const { return table_.shard; }

  float gradient(std::int64_t touched, std::int32_t column) const {
    return element(table_.gradient.values, table_.gradient.value_type,
                   touched * table_.dim + column);
  }

  void add_square(int index, std::int64_t lane, float x) const {
    float& sum = shard().row_lanes[index][lane];
    sum = numerics::fused_multiply_add(x, x, sum);
  }

  /// What clipping by norm multiplies the gradient with.
  float clip_of(std::int64_t touched) const {
    const bool clips = which_ == row_reduction::mean_square || which_ == row_reduction::trust_ratio;
    if (!clips || options_.clipping != clipping_kind::norm) return 1.0F;
    const float sum =
        numerics::combined_lanes(shard().row_lanes[0] + touched * num_lanes, numerics::add_lanes{});
    return numerics::clip_scale(sum, options_.clipping_limit);
  }

  const table_record& table_;
  const optimizer_options& options_;
  row_reduction which_;
  numerics::norm_kind kind_;
  numerics::step_factors factors_ = {};
};

}  // namespace

void cpu_backend::add_row_lanes(const problem& problem, row_reduction which) {
  const workspace_arrays& arrays = workspace_.arrays();
  const bool of_runs = which == row_reduction::max_norm;
  const auto num_rows = [&](std::size_t t) -> std::int64_t {
    if (!operations::has_lanes(problem.tables[t], which)) return 0;
    return of_runs ? arrays.first_run[t + 1] - arrays.first_run[t]
                   : *problem.tables[t].gradient.count;
  };
  for_each_chunk(
      problem.tables.size(),
      [&](std::size_t t) { return (num_rows(t) + rows_per_chunk - 1) / rows_per_chunk; },
      [&](std::size_t t, std::int64_t chunk, int) {
        const table_record& table = problem.tables[t];
        const lane_adder adder(table, which);
        const std::int64_t first = chunk * rows_per_chunk;
        const std::int64_t last = std::min(first + rows_per_chunk, num_rows(t));
        for (std::int64_t k = first; k < last; ++k) {
          adder.add(of_runs ? arrays.rows[arrays.first_run[t] + k] - table.first_row
                            : table.gradient.rows[k],
                    k);
        }
      });
}

}  // namespace warpbag::cpu
