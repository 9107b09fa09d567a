// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kernels of reduce_gradients and update_rows have in common: their work, the memory of a
// warp, and what becomes of a summed gradient.

#include "kernels/common/element_rows.cuh"
#include "kernels/common/gradient_walk.cuh"
#include "kernels/common/optimizer_row.cuh"
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

/// How often the row of a run occurs in the batch, for scale_grad_by_freq.
__device__ __forceinline__ std::int64_t frequency_of_run(const reduction& work,
                                                         const lane_group& group,
                                                         std::int64_t run) {
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

/// deliver_gradients() without a limit.
inline constexpr std::uint32_t any_length = ~std::uint32_t{0};

/// Finishes the summed gradient of a run and gives it to the form of its table.
__device__ __forceinline__ void deliver_gradient(const reduction& work, const table_record& table,
                                                 const planned_table& plan, const lane_group& group,
                                                 std::int64_t run, lane_gradient gradient) {
  const std::int64_t row = work.occurrences.rows[run] - table.first_row;
  const std::int64_t frequency = table.scale_grad_by_freq ? frequency_of_run(work, group, run) : 1;
  finish_gradient(table, group, frequency, gradient);
  if (table.gradient.form == operations::gradient_form::fused) {
    row_updater(table, plan.factors, group, row, gradient, plan.row_width).update();
    return;
  }
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

/// The same for the runs [first, last) of table `t` that a group of this width has summed, apart
/// from those of more than `longest` occurrences. `sums`: the first of their sums, which are
/// `sum_floats` apart. It holds every optimizer, row type and form of gradients, so all kernels
/// share one copy: a compiler's half minute each.
inline __device__ __noinline__ void deliver_gradients(const reduction& work, std::int32_t t,
                                                      int log_width, std::int32_t first,
                                                      std::int32_t last, lane_gradient sums,
                                                      int sum_floats, std::uint32_t longest) {
  const table_record& table = work.problem.tables[t];
  const planned_table& plan = work.plan[t];
  const lane_group group(log_width);
  const std::uint32_t* const begins = work.occurrences.run_begins;
  if (plan.elements_alone) {
    const std::int64_t* const rows = work.occurrences.rows;
    const std::int64_t first_row = table.first_row;
    update_elements_alone(table, plan.factors, group, sums, sum_floats, last - first,
                          [&](std::int32_t i) {
                            const std::int32_t run = first + i;
                            const bool mine = begins[run + 1] - begins[run] <= longest;
                            return mine ? rows[run] - first_row : std::int64_t{-1};
                          });
    return;
  }
  for (std::int32_t run = first; run < last; ++run) {
    if (begins[run + 1] - begins[run] <= longest) {
      deliver_gradient(work, table, plan, group, run, sums);
    }
    sums.data += sum_floats;
  }
}

}  // namespace warpbag::kernels
