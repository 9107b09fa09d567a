// SPDX-License-Identifier: Apache-2.0
#pragma once
// rowwise_adagrad on up to eight rows of a group at once, the optimizer that most embeddings are
// trained by. One row at a time spends ten instructions on the butterfly of N4 and a dozen on its
// state, in every lane alike. Here the lanes of a group share out the rows: each step of the
// butterfly halves the rows that a lane still adds for, and in the end every lane works out the
// state of one row.

#include "kernels/common/optimizer_row.cuh"
#include "kernels/common/prefetch_rows.cuh"

namespace warpbag::kernels {

inline constexpr int log_rows_together = 3;
inline constexpr int rows_together = 1 << log_rows_together;

/// What the lanes of a group tell each other of a row.
struct alignas(16) rowwise_step {
  void* row;  // nullptr: not to be updated
  float multiplier;
};

struct rowwise_policy {
  // Groups have a lane for each row at least.
  static constexpr int least_width = rows_together;
  // One step more per group keeps the groups in different banks.
  static constexpr int steps_per_group = rows_together + 1;
  // Rows of weights that a lane asks for before it updates the first.
  static constexpr int rows_per_batch = 4;
  // Strips of a row. Squares are added up for eight rows also where a tile has two.
  static constexpr int most_strips = 16;
};

using rowwise_memory =
    rowwise_step[warp_size / rowwise_policy::least_width * rowwise_policy::steps_per_group];

/// Tables whose rows this file updates: what it leaves to others are sparse and dense gradients,
/// decay, parts of rows, and rows much wider or narrower than a warp.
__host__ __device__ inline bool updates_rows_together(const table_record& table) {
  const optimizer_options& options = table.optimizer;
  return table.gradient.form == operations::gradient_form::fused &&
         options.kind == optimizer_kind::rowwise_adagrad &&
         options.decay_mode == weight_decay_mode::none && table.shard.row_lanes[0] == nullptr &&
         num_strips(table.dim) <= rowwise_policy::most_strips &&
         1 << width_class(table.dim) >= rowwise_policy::least_width;
}

/// Asks for the weights of rows row_of(0), ..., row_of(count - 1), a row a lane: such rows are four
/// lines long at most.
template <typename RowOf>
__device__ __forceinline__ void prefetch_rows_together(const table_record& table,
                                                       const lane_group& group, int count,
                                                       RowOf row_of) {
  const int element_bytes = table.row_type == dtype::f32 ? 4 : 2;
  const std::int32_t row_bytes = table.dim * element_bytes;
#pragma unroll 1
  for (int i = group.lane; i < count; i += group.width) {
    const char* const row = static_cast<const char*>(table.rows) +
                            row_of(static_cast<unsigned>(i)) * table.row_stride * element_bytes;
#pragma unroll 1
    for (std::int32_t byte = 0; byte < row_bytes; byte += line_bytes) prefetch_line(row + byte);
  }
}

/// The butterfly of N4 for the eight rows of which lane l has the sums in the order i ^ mine, mine
/// = l / (width / 8): the first half is of the rows that it goes on adding for, the other half its
/// partner wants, in the same order, so that nothing has to be chosen. Gives the lane the sum of
/// row `mine`. Additions are those of lane_group::sum, apart from the order of their two operands.
__device__ __forceinline__ float butterfly_of_rows(float (&sums)[rows_together],
                                                   const lane_group& group) {
#pragma unroll
  for (int rows = rows_together / 2; rows > 0; rows /= 2) {
    const int distance = group.width * rows >> log_rows_together;
#pragma unroll
    for (int i = 0; i < rows; ++i) {
      sums[i] += __shfl_xor_sync(full_mask, sums[i + rows], distance);
    }
  }
  float sum = sums[0];
#pragma unroll
  for (int distance = warp_size / rows_together / 2; distance > 0; distance /= 2) {
    if (distance << log_rows_together < group.width) {
      sum += __shfl_xor_sync(full_mask, sum, distance);
    }
  }
  return sum;
}

/// Up to eight rows of one group, for the whole warp. `gradient`: the first of their sums, which
/// follow each other in shared memory, `sum_bytes` apart. Of one strip that is a power of two, and
/// there is memory for eight. row_of(i) is the row of the table that sum i belongs to; -1: none. At
/// most `count` <= 8 of them, the same for all groups. Quads beyond the row may hold anything.
/// `whole`: rows can be read and written a quad at a time. Weights that are to be rounded
/// stochastically are left in the place of the sums.
template <typename RowOf>
__device__ __forceinline__ void update_rows_together(const table_record& table, bool whole,
                                                     const numerics::step_factors& factors,
                                                     const lane_group& group,
                                                     lane_gradient gradient, int sum_bytes,
                                                     int strips, int count, rowwise_memory& memory,
                                                     RowOf row_of) {
  __syncwarp();  // steps of the rows before
  rowwise_step* const steps = memory + group.index * rowwise_policy::steps_per_group;
  const int log_lanes_per_row = group.log_width - log_rows_together;
  const int mine = group.lane >> log_lanes_per_row;
  const std::int64_t row = row_of(mine);
  const bool all_there = __all_sync(full_mask, row >= 0) != 0;
  float* const stored = table.state[0] + max(row, std::int64_t{0});
  __builtin_assume(__isGlobal(stored));
  const float state = row >= 0 ? *stored : 0.0F;
  const std::int32_t dim = table.dim;
  const std::int32_t column = group.lane * quad_elements;
  float sums[rows_together] = {};
#pragma unroll 1
  for (int strip = 0; strip < strips && column + strip * strip_columns < dim; ++strip) {
#pragma unroll
    for (int i = 0; i < rows_together; ++i) {
      // Of rows that are not there the memory holds something, which goes nowhere.
      const int place =
          strips == 1 ? mine * sum_bytes ^ i * sum_bytes : min(mine ^ i, count - 1) * sum_bytes;
      sums[i] = add_squares(sums[i], gradient.load_at(place + strip * strip_bytes));
    }
  }
  const float mean = numerics::mean_square(butterfly_of_rows(sums, group), dim);
  optimizer_options options = table.optimizer;
  options.kind = optimizer_kind::rowwise_adagrad;  // as it is: now the compiler knows
  const float new_state = numerics::update_row_state(options, state, mean);
  const std::int64_t row_bytes = table.row_stride * (table.row_type == dtype::f32 ? 4 : 2);
  if (group.lane == mine << log_lanes_per_row) {
    if (row >= 0) *stored = new_state;
    steps[mine] = {row < 0 ? nullptr : static_cast<char*>(table.rows) + row * row_bytes,
                   numerics::rowwise_multiplier(options, factors, new_state)};
  }
  __syncwarp();
  const bool rounds = rounds_stochastically(table);
  const auto update_strip = [&](auto access_type, auto is_there, std::int32_t column,
                                lane_gradient sum) {
    using Stored = typename decltype(access_type)::stored;
    constexpr int width = decltype(access_type)::width;
    const std::int32_t left = width == quad_elements ? quad_elements : dim - column;
    const rowwise_step* batch = steps;
#pragma unroll 1
    for (int first = 0; first < count; first += rowwise_policy::rows_per_batch) {
      rowwise_step step[rowwise_policy::rows_per_batch];
      Stored* places[rowwise_policy::rows_per_batch];
      Stored rows[rowwise_policy::rows_per_batch][quad_elements];
#pragma unroll
      for (int i = 0; i < rowwise_policy::rows_per_batch; ++i) {
        step[i] = batch[i];
        places[i] = static_cast<Stored*>(step[i].row) + column;
        if (is_there(step[i])) load_stored<width>(rows[i], places[i], 0, left);
      }
#pragma unroll
      for (int i = 0; i < rowwise_policy::rows_per_batch; ++i) {
        if (!is_there(step[i])) continue;
        const quad g = sum.load_at(i * sum_bytes);
        const quad w = widened_quad(rows[i]);
        quad updated;
#pragma unroll
        for (int e = 0; e < quad_elements; ++e) {
          updated.value[e] = numerics::rowwise_weight(w.value[e], g.value[e], step[i].multiplier);
        }
        if (!std::is_same_v<Stored, float> && rounds) {
          sum.store_at(i * sum_bytes, updated);
        } else {
          store_quad<width>(places[i], 0, left, updated);
        }
      }
      batch += rowwise_policy::rows_per_batch;
      sum.data += rowwise_policy::rows_per_batch * (sum_bytes / static_cast<int>(sizeof(float)));
    }
  };
  const auto update = [&](auto access_type, auto is_there) {
#pragma unroll 1
    for (int strip = 0; strip < strips && column + strip * strip_columns < dim; ++strip) {
      update_strip(access_type, is_there, column + strip * strip_columns,
                   {gradient.data + strip * strip_columns});
    }
  };
  const auto is_there = [](const rowwise_step& step) { return step.row != nullptr; };
  with_stored_type(table.row_type, [&](auto stored_type) {
    using Stored = decltype(stored_type);
    if (!whole) {
      update(row_access<Stored, 1>{}, is_there);
    } else if (all_there) {
      update(row_access<Stored, quad_elements>{}, [](const rowwise_step&) { return true; });
    } else {
      update(row_access<Stored, quad_elements>{}, is_there);
    }
  });
}

}  // namespace warpbag::kernels
