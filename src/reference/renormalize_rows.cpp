// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <set>

#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::table_record;

namespace {

/// (sum |x|^p)^(1/p). The terms |x|^p are rounded once each; the root once.
estimate norm_of(const table_record& table, std::int64_t row) {
  const double p = static_cast<double>(table.norm_type);
  any_order_sum sum;
  double largest = 0.0;
  for (std::int64_t column = 0; column < table.dim; ++column) {
    const double x = std::abs(element(table.rows, table.row_type, row * table.row_stride + column));
    largest = std::max(largest, x);
    sum.add(rounded(std::pow(x, p), 0.0));
  }
  if (std::isinf(p)) return exactly(largest);
  const estimate total = sum.total();
  if (total.value == 0.0) return exactly(0.0);
  const double norm = std::pow(total.value, 1.0 / p);
  // d norm / norm = (1 / p) d total / total; the factor covers the second order.
  return rounded(norm, 1.01 * norm * total.error / (p * total.value));
}

}  // namespace

std::map<std::int64_t, std::vector<estimate>> renormalize_rows(const operations::problem& problem,
                                                               std::int32_t table_index) {
  const table_record& table = problem.tables[static_cast<std::size_t>(table_index)];
  std::map<std::int64_t, std::vector<estimate>> result;
  if (!table.renormalize) return result;
  std::set<std::int64_t> touched;
  for (const operations::feature_record& feature : problem.features) {
    if (feature.table != table_index) continue;
    for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
      for (const lookup& x : lookups_of(problem, feature, bag)) {
        if (x.kind == lookup_kind::live) touched.insert(x.row);
      }
    }
  }
  const estimate limit = exactly(static_cast<double>(table.max_norm));
  const double offset = static_cast<double>(1e-7F);  // torch adds it to the norm
  for (const std::int64_t row : touched) {
    const estimate norm = norm_of(table, row);
    if (norm.value + norm.error <= limit.value) continue;
    const bool is_over = norm.value > limit.value;
    estimate scale = is_over ? limit / (norm + exactly(offset)) : exactly(1.0);
    // Where the rounded norm may fall on either side of the limit, so may the scale.
    if (norm.value - norm.error <= limit.value) scale.error += (norm.error + offset) / norm.value;
    std::vector<estimate>& scaled = result[row];
    for (std::int64_t column = 0; column < table.dim; ++column) {
      scaled.push_back(
          exactly(element(table.rows, table.row_type, row * table.row_stride + column)) * scale);
    }
  }
  return result;
}

}  // namespace warpbag::reference
