// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

std::vector<estimate> sample_weight_gradient(const operations::problem& problem,
                                             std::int32_t feature_index) {
  const operations::feature_record& feature =
      problem.features[static_cast<std::size_t>(feature_index)];
  const operations::table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
  std::vector<estimate> result(static_cast<std::size_t>(feature.num_ids));
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    const std::vector<lookup> lookups = lookups_of(problem, feature, bag);
    const double count = static_cast<double>(count_of(lookups));
    for (const lookup& x : lookups) {
      if (x.kind != lookup_kind::live) continue;
      any_order_sum dot;  // fma: the products are not rounded
      for (std::int64_t column = 0; column < table.dim; ++column) {
        const double g = element(feature.gradient, problem.gradient_type,
                                 bag * feature.gradient_stride + column);
        dot.add(exactly(g * row_element(table, x, column)));
      }
      const bool mean = feature.mode == pooling_mode::mean;
      result[static_cast<std::size_t>(x.position)] =
          mean ? dot.total() * (exactly(1.0) / exactly(count)) : dot.total();
    }
  }
  return result;
}

}  // namespace warpbag::reference
