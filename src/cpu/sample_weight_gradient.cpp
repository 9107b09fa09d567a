// SPDX-License-Identifier: Apache-2.0
// Gradient of per_sample_weights: dot(gradient of the bag, row), in the order of N4.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/sample_weight_gradient.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/simd-inl.hpp"

#ifndef WARPBAG_CPU_SAMPLE_WEIGHT_TYPES
#define WARPBAG_CPU_SAMPLE_WEIGHT_TYPES
namespace warpbag::cpu {

/// Positions [first, last) of a feature.
struct sample_weight_job {
  const feature_record& feature;
  const table_record& table;
  index_type ids_type;
  dtype gradient_type;
  std::int64_t first;
  std::int64_t last;
  const float* scale_of_bag;  // of the feature's bags
  float* gradient;            // [padded dim] scratch
  float* row;                 // [padded dim] scratch
};

}  // namespace warpbag::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

HWY_INLINE void widen_row_as(dtype type, const void* rows, std::int64_t first_element, float* to,
                             std::int64_t dim) {
  const auto widen = [&](const auto* typed)
                         HWY_ATTR { widen_row(typed + first_element, to, dim, padded(dim)); };
  switch (type) {
    case dtype::f32: widen(static_cast<const float*>(rows)); return;
    case dtype::f16: widen(static_cast<const f16*>(rows)); return;
    case dtype::bf16: widen(static_cast<const bf16*>(rows)); return;
  }
}

template <typename Index>
void sample_weights(const sample_weight_job& job) {
  const feature_record& feature = job.feature;
  const table_record& table = job.table;
  const bag_positions<Index> bags(feature);
  const Index* const ids = static_cast<const Index*>(feature.ids);
  const std::int64_t row_bytes =
      table.row_stride * static_cast<std::int64_t>(size_of(table.row_type));
  const std::int64_t rows_ahead = tuning::rows_ahead(row_bytes);
  const auto is_live = [&](std::int64_t position) {
    return classify(ids[position], table.num_rows, table.padding_idx) == lookup_kind::live;
  };
  const std::int64_t last = std::min(job.last, bags.covered());
  std::int64_t bag = bags.first_bag_from(job.first + 1) - 1;
  for (std::int64_t position = job.first; position < last; ++bag) {
    widen_row_as(job.gradient_type, feature.gradient, bag * feature.gradient_stride, job.gradient,
                 table.dim);
    const float scale = feature.mode == pooling_mode::mean ? job.scale_of_bag[bag] : 1.0F;
    const std::int64_t bag_end = std::min(bags.end(bag), last);
    for (; position < bag_end; ++position) {
      const std::int64_t ahead = position + rows_ahead;
      if (ahead < last && is_live(ahead)) {
        prefetch_row(static_cast<const std::byte*>(table.rows) + ids[ahead] * row_bytes, row_bytes);
      }
      float value = 0.0F;
      if (is_live(position)) {
        widen_row_as(table.row_type, table.rows, ids[position] * table.row_stride, job.row,
                     table.dim);
        value = dot(job.gradient, job.row, table.dim) * scale;
      }
      feature.weight_gradient[position] = value + 0.0F;
    }
  }
  for (std::int64_t position = std::max(job.first, bags.covered()); position < job.last;
       ++position) {
    feature.weight_gradient[position] = 0.0F;
  }
}

void run_sample_weight_job(const sample_weight_job& job) {
  if (job.ids_type == index_type::i32) {
    sample_weights<std::int32_t>(job);
  } else {
    sample_weights<std::int64_t>(job);
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(run_sample_weight_job);

void cpu_backend::sample_weight_gradient(const problem& problem) {
  for_each_chunk(
      problem.features.size(),
      [&](std::size_t f) {
        const feature_record& feature = problem.features[f];
        return feature.weight_gradient == nullptr
                   ? 0
                   : (feature.num_ids + lookups_per_chunk - 1) / lookups_per_chunk;
      },
      [&](std::size_t f, std::int64_t chunk, int thread) {
        const feature_record& feature = problem.features[f];
        const thread_rows rows = workspace_.rows_of_thread(thread);
        const std::int64_t first = chunk * lookups_per_chunk;
        const sample_weight_job job = {feature,
                                       problem.tables[static_cast<std::size_t>(feature.table)],
                                       problem.ids_type,
                                       problem.gradient_type,
                                       first,
                                       std::min(first + lookups_per_chunk, feature.num_ids),
                                       workspace_.arrays().scale_of_bag + feature.first_bag,
                                       rows.gradient,
                                       rows.weight};
        HWY_DYNAMIC_DISPATCH(run_sample_weight_job)(job);
      });
}

}  // namespace warpbag::cpu
#endif
