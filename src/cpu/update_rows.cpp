// SPDX-License-Identifier: Apache-2.0
// The optimizer step from gradients that were summed before.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/update_rows.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/row_update-inl.hpp"

#ifndef WARPBAG_CPU_UPDATE_TYPES
#define WARPBAG_CPU_UPDATE_TYPES
namespace warpbag::cpu {

/// Gradients [first, last) of a table's sparse gradient.
struct update_job {
  const table_record& table;
  std::int64_t first;
  std::int64_t last;
  thread_rows rows;
};

}  // namespace warpbag::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

template <typename Value>
void update_from(const update_job& job) {
  const std::int64_t dim = job.table.dim;
  const std::int64_t rows_ahead = tuning::rows_ahead(dim * std::int64_t{sizeof(Value)});
  const operations::gradient_record& gradient = job.table.gradient;
  const row_optimizer optimizer(job.table);
  for (std::int64_t i = job.first; i < job.last; ++i) {
    if (i + rows_ahead < job.last) optimizer.prefetch(gradient.rows[i + rows_ahead]);
    widen_row(static_cast<const Value*>(gradient.values) + i * dim, job.rows.gradient, dim,
              padded(dim));
    if (is_part_of_columns(job.table)) clip_part_of_columns(job.table, i, job.rows.gradient);
    optimizer.update(gradient.rows[i], job.rows, i);
  }
}

void run_update_job(const update_job& job) {
  switch (job.table.gradient.value_type) {
    case dtype::f32: update_from<float>(job); return;
    case dtype::f16: update_from<f16>(job); return;
    case dtype::bf16: update_from<bf16>(job); return;
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(run_update_job);

namespace {

using tuning::rows_per_chunk;

void advance_tables(const problem& problem, operations::gradient_form form) {
  for (const table_record& table : problem.tables) {
    if (table.gradient.form == form) numerics::advance(*table.step, table.optimizer);
  }
}

}  // namespace

void cpu_backend::advance_steps(const problem& problem) {
  advance_tables(problem, operations::gradient_form::fused);
}

void cpu_backend::update_rows(const problem& problem) {
  advance_tables(problem, operations::gradient_form::sparse);
  for_each_chunk(
      problem.tables.size(),
      [&](std::size_t t) {
        const operations::gradient_record& gradient = problem.tables[t].gradient;
        return gradient.form == operations::gradient_form::sparse
                   ? (*gradient.count + rows_per_chunk - 1) / rows_per_chunk
                   : 0;
      },
      [&](std::size_t t, std::int64_t chunk, int thread) {
        const table_record& table = problem.tables[t];
        const std::int64_t first = chunk * rows_per_chunk;
        const update_job job = {table, first,
                                std::min(first + rows_per_chunk, *table.gradient.count),
                                workspace_.rows_of_thread(thread)};
        HWY_DYNAMIC_DISPATCH(run_update_job)(job);
      });
}

}  // namespace warpbag::cpu
#endif
