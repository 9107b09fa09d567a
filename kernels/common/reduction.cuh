// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kernels of reduce_gradients and update_rows have in common: their work, the memory of a
// warp, and what becomes of a summed gradient.

#include "kernels/common/element_rows.cuh"
#include "kernels/common/gradient_walk.cuh"
#include "kernels/common/optimizer_row.cuh"
#include "kernels/common/prefetch_rows.cuh"
#include "kernels/common/rowwise_rows.cuh"
#include "kernels/common/table_plan.cuh"

namespace warpbag::kernels {

/// Shared memory of a warp.
struct alignas(16) walk_storage {
  walk_memory walk;
  float sums[gradient_walk_policy::sums_per_lane][strip_columns];
  rowwise_memory rowwise;
};

static_assert(rowwise_policy::most_strips <= gradient_walk_policy::sums_per_lane);

/// Lane-private memory for finished sums: shared, or for rows of more strips than that holds,
/// scratch of the warp in global memory.
__device__ __forceinline__ lane_gradient lane_sums(float* shared_sums, float* wide_sums,
                                                   std::int32_t max_dim, std::int32_t dim) {
  float* base = shared_sums;
  if (num_strips(dim) > gradient_walk_policy::sums_per_lane) {
    base = wide_sums + warp_index() * num_strips(max_dim) * strip_columns;
  }
  return {base + lane_index() * quad_elements};
}

/// What every stage of reduce_gradients works on.
struct reduction {
  device_problem problem;
  device_occurrences occurrences;
  index_type offsets_type;
  table_plan plan;
  float* wide_sums;  // [warps, num_strips(max_dim) * strip_columns] if max_dim needs it
  std::int32_t max_dim;
  bool has_partials;  // some feature has
};

/// How often the row of a run occurs in the batch, for scale_grad_by_freq; 1 without it.
__device__ __forceinline__ std::int64_t frequency_of_run(const reduction& work,
                                                         const table_record& table,
                                                         const lane_group& group,
                                                         std::int64_t run) {
  if (!table.scale_grad_by_freq) return 1;
  const std::uint32_t begin = work.occurrences.run_begins[run];
  const std::uint32_t end = work.occurrences.run_begins[run + 1];
  if (!work.has_partials) return end - begin;
  unsigned long long frequency = 0;
  for (std::uint32_t i = begin + static_cast<unsigned>(group.lane); i < end;
       i += static_cast<unsigned>(group.width)) {
    frequency += frequency_of_lookup(work.problem, work.occurrences.positions[i]);
  }
  for (int distance = group.width / 2; distance > 0; distance /= 2) {
    frequency += __shfl_xor_sync(group.mask, frequency, distance, group.width);
  }
  return static_cast<std::int64_t>(frequency);
}

/// Runs of table `t` whose gradients a group has summed: the short ones of [first, last), or one
/// long run. `sums`: the first of their sums, which are `sum_floats` apart, or one_long_run.
struct summed_runs {
  std::int32_t t;
  std::int32_t first;
  std::int32_t last;
  float* sums;
  int sum_floats;

  static constexpr int one_long_run = 0;
};

/// Whether `run`, of [first, last), is one of these.
__device__ __forceinline__ bool is_among(const summed_runs& runs, const std::uint32_t* begins,
                                         std::int32_t run) {
  return begins[run + 1] - begins[run] <= run_policy::longest_run ||
         runs.sum_floats == summed_runs::one_long_run;
}

/// Calls use(run, sum) for each.
template <typename Use>
__device__ __forceinline__ void for_each_run(const reduction& work, summed_runs runs, Use use) {
#pragma unroll 1
  for (; runs.first < runs.last; ++runs.first) {
    if (is_among(runs, work.occurrences.run_begins, runs.first)) {
      use(runs.first, lane_gradient{runs.sums});
    }
    runs.sums += runs.sum_floats;
  }
}

/// The row of the table that a run is of.
__device__ __forceinline__ std::int64_t row_of_run(const reduction& work, const table_record& table,
                                                   std::int32_t run) {
  return work.occurrences.rows[run] - table.first_row;
}

/// The first step: frequency scaling and clipping.
__device__ __forceinline__ void finish_gradients(const reduction& work, const lane_group& group,
                                                 summed_runs runs) {
  const table_record& table = work.problem.tables[runs.t];
  for_each_run(work, runs, [&](std::int32_t run, lane_gradient sum) {
    finish_gradient(table, group, frequency_of_run(work, table, group, run), sum);
  });
}

/// The last step where rows are rounded stochastically: their new weights are in the place of the
/// sums.
__device__ __forceinline__ void store_rounded_rows(const reduction& work, const lane_group& group,
                                                   summed_runs runs) {
  const table_record& table = work.problem.tables[runs.t];
  const int row_width = work.plan[runs.t].row_width;
  for_each_run(work, runs, [&](std::int32_t run, lane_gradient weights) {
    store_rounded_row(table, group, row_of_run(work, table, run), weights, row_width);
  });
}

/// A finished gradient becomes a row of the caller's.
__device__ __forceinline__ void write_gradient(const table_record& table, const planned_table& plan,
                                               const lane_group& group, std::int64_t run,
                                               std::int64_t row, lane_gradient gradient) {
  std::int64_t value_row = row;
  if (table.gradient.form == operations::gradient_form::sparse) {
    value_row = run - plan.first_item;
    if (group.lane == 0) table.gradient.rows[value_row] = row;
  }
  const row_view values(table.gradient.values, table.gradient.value_type, table.dim, table.dim,
                        value_row, plan.value_width);
  for (int strip = 0; strip < num_strips(table.dim); ++strip) {
    values.store(column_of(group, strip), gradient.load(strip));
  }
}

/// All steps for any table: the optimizer, or gradients in the form that the caller wants. It holds
/// every optimizer, row type and form of gradients, so all kernels share one copy: a compiler's
/// half minute each.
inline __device__ __noinline__ void deliver_gradients(const reduction& work, int log_width,
                                                      summed_runs runs) {
  const table_record& table = work.problem.tables[runs.t];
  const planned_table& plan = work.plan[runs.t];
  const lane_group group(log_width);
  if (plan.elements_alone) {
    const std::int64_t first_row = table.first_row;
    update_elements_alone(table, plan.factors, group, {runs.sums}, runs.sum_floats,
                          runs.last - runs.first, [&](std::int32_t i) {
                            const std::int32_t run = runs.first + i;
                            return is_among(runs, work.occurrences.run_begins, run)
                                       ? work.occurrences.rows[run] - first_row
                                       : std::int64_t{-1};
                          });
    return;
  }
  for_each_run(work, runs, [&](std::int32_t run, lane_gradient gradient) {
    const std::int64_t row = row_of_run(work, table, run);
    finish_gradient(table, group, frequency_of_run(work, table, group, run), gradient);
    if (table.gradient.form != operations::gradient_form::fused) {
      write_gradient(table, plan, group, run, row, gradient);
      return;
    }
    row_updater(table, plan.factors, group, row, gradient, plan.row_width).update();
    if (rounds_stochastically(table)) {
      store_rounded_row(table, group, row, gradient, plan.row_width);
    }
  });
}

}  // namespace warpbag::kernels
