// SPDX-License-Identifier: Apache-2.0
// max_norm on the rows of the batch's runs, before they are pooled.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/renormalize_rows.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/simd-inl.hpp"
#include "numerics/row_norm.hpp"

#ifndef WARPBAG_CPU_RENORMALIZE_TYPES
#define WARPBAG_CPU_RENORMALIZE_TYPES
namespace warpbag::cpu {

struct renormalize_job {
  const table_record& table;
  const std::int64_t* rows;  // global
  std::int64_t num_rows;
  const float* lanes;  // of the first row, where the table has a part of its columns; or nullptr
  float* scratch;      // [padded dim]
};

}  // namespace warpbag::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

HWY_INLINE float norm_from(const float* lanes, numerics::norm_kind kind, float p) {
  const float combined = numerics::combined_lanes(
      lanes, [&](float a, float b) { return numerics::combine_norm(kind, a, b); });
  return numerics::finish_norm(kind, p, combined);
}

HWY_INLINE float norm_of(const float* row, std::int64_t dim, numerics::norm_kind kind, float p) {
  if (kind == numerics::norm_kind::two) {
    return numerics::finish_norm(kind, p, dot(row, row, dim));
  }
  const float combined = numerics::reduce_over_dim(
      dim,
      [&](float acc, std::int64_t j) { return numerics::accumulate_norm(kind, p, acc, row[j]); },
      [&](float a, float b) { return numerics::combine_norm(kind, a, b); });
  return numerics::finish_norm(kind, p, combined);
}

template <typename Row>
void renormalize(const renormalize_job& job) {
  const std::int64_t dim = job.table.dim;
  const numerics::norm_kind kind = numerics::norm_kind_of(job.table.norm_type);
  const std::int64_t row_bytes = dim * std::int64_t{sizeof(Row)};
  const std::int64_t rows_ahead = tuning::rows_ahead(row_bytes);
  const auto row_at = [&](std::int64_t i) {
    return static_cast<Row*>(job.table.rows) +
           (job.rows[i] - job.table.first_row) * job.table.row_stride;
  };
  for (std::int64_t i = 0; i < job.num_rows; ++i) {
    if (i + rows_ahead < job.num_rows) {
      prefetch_row(row_at(i + rows_ahead), row_bytes);
    }
    Row* const row = row_at(i);
    widen_row(row, job.scratch, dim, padded(dim));
    const float p = job.table.norm_type;
    const float norm = job.lanes == nullptr
                           ? norm_of(job.scratch, dim, kind, p)
                           : norm_from(job.lanes + i * numerics::num_lanes, kind, p);
    const float scale = numerics::max_norm_scale(norm, job.table.max_norm);
    if (scale == 1.0F) continue;
    for (std::int64_t j = 0; j < dim; ++j) job.scratch[j] *= scale;
    narrow_row(job.scratch, row, dim);
  }
}

void run_renormalize_job(const renormalize_job& job) {
  switch (job.table.row_type) {
    case dtype::f32: renormalize<float>(job); return;
    case dtype::f16: renormalize<f16>(job); return;
    case dtype::bf16: renormalize<bf16>(job); return;
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(run_renormalize_job);

void cpu_backend::renormalize_rows(const problem& problem) {
  using tuning::rows_per_chunk;
  const workspace_arrays& arrays = workspace_.arrays();
  for_each_chunk(
      problem.tables.size(),
      [&](std::size_t t) {
        const std::int64_t runs = arrays.first_run[t + 1] - arrays.first_run[t];
        return problem.tables[t].renormalize ? (runs + rows_per_chunk - 1) / rows_per_chunk : 0;
      },
      [&](std::size_t t, std::int64_t chunk, int thread) {
        const std::int64_t first = arrays.first_run[t] + chunk * rows_per_chunk;
        const table_record& table = problem.tables[t];
        const float* const lanes = table.shard.row_lanes[0];
        const std::int64_t touched = first - arrays.first_run[t];
        const renormalize_job job = {
            table, arrays.rows + first, std::min(rows_per_chunk, arrays.first_run[t + 1] - first),
            lanes == nullptr ? nullptr : lanes + touched * numerics::num_lanes,
            workspace_.rows_of_thread(thread).weight};
        HWY_DYNAMIC_DISPATCH(run_renormalize_job)(job);
      });
}

}  // namespace warpbag::cpu
#endif
