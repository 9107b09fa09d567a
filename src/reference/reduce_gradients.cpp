// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::problem;
using operations::table_record;

namespace {

struct row_sums {
  std::vector<any_order_sum> columns;
  std::int64_t occurrences = 0;
};

/// What the gradient of a bag's output is multiplied with on its way to the row of a lookup.
estimate scale_of(const feature_record& feature, const lookup& x, std::int64_t count) {
  if (feature.mode != pooling_mode::mean) return exactly(x.weight);
  const estimate share = exactly(1.0) / exactly(static_cast<double>(count));
  return feature.weights == nullptr ? share : exactly(x.weight) * share;
}

void add_bag(const problem& problem, const feature_record& feature, const table_record& table,
             std::int64_t bag, std::map<std::int64_t, row_sums>& sums) {
  const std::vector<lookup> lookups = lookups_of(problem, feature, bag);
  const std::int64_t count = count_of(lookups);
  const bool maximum = feature.mode == pooling_mode::max;
  const std::vector<std::int32_t> winners =
      maximum ? winners_of(table, lookups) : std::vector<std::int32_t>();
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    const lookup& x = lookups[i];
    if (x.kind != lookup_kind::live) continue;
    row_sums& row = sums[x.row];
    row.columns.resize(static_cast<std::size_t>(table.dim));
    row.occurrences += feature.partials == nullptr ? 1 : feature.partials[x.position].occurrences;
    const std::int64_t gradient_row = feature.mode == pooling_mode::none ? x.position : bag;
    const estimate scale = scale_of(feature, x, count);
    for (std::int64_t column = 0; column < table.dim; ++column) {
      const std::size_t c = static_cast<std::size_t>(column);
      if (maximum && winners[c] != static_cast<std::int32_t>(i)) continue;
      const double g = element(feature.gradient, problem.gradient_type,
                               gradient_row * feature.gradient_stride + column);
      row.columns[c].add({g * scale.value, std::abs(g) * scale.error});  // fma: not rounded
    }
  }
}

void clip(const optimizer_options& options, std::vector<estimate>& gradient) {
  const estimate limit = exactly(static_cast<double>(options.clipping_limit));
  if (options.clipping == clipping_kind::value) {
    for (estimate& g : gradient) g = maximum(minimum(g, limit), -limit);
  } else if (options.clipping == clipping_kind::norm) {
    any_order_sum squares;
    for (const estimate& g : gradient) squares.add(g * g);
    const estimate norm = square_root(squares.total());
    if (norm.value + norm.error <= limit.value) return;
    // Near the limit the scale is 1 or limit / norm: both are within the error of the norm.
    const estimate scale = minimum(exactly(1.0), limit / norm);
    for (estimate& g : gradient) g = g * scale;
  }
}

}  // namespace

std::map<std::int64_t, std::vector<estimate>> reduce_gradients(const problem& problem,
                                                               std::int32_t table_index) {
  const table_record& table = problem.tables[static_cast<std::size_t>(table_index)];
  std::map<std::int64_t, row_sums> sums;
  for (const feature_record& feature : problem.features) {
    if (feature.table != table_index) continue;
    for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
      add_bag(problem, feature, table, bag, sums);
    }
  }
  std::map<std::int64_t, std::vector<estimate>> result;
  for (const auto& [row, row_sum] : sums) {
    std::vector<estimate>& gradient = result[row];
    for (const any_order_sum& column : row_sum.columns) gradient.push_back(column.total());
    if (table.scale_grad_by_freq) {
      const estimate frequency = exactly(static_cast<double>(row_sum.occurrences));
      for (estimate& g : gradient) g = g / frequency;
    }
    clip(table.optimizer, gradient);
  }
  return result;
}

}  // namespace warpbag::reference
