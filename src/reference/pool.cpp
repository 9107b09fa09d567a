// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::table_record;

namespace {

/// Mode none: one output row per position; positions outside every bag and bad ids give zeros.
void copy_rows(const operations::problem& problem, const feature_record& feature,
               const table_record& table, pooled& result) {
  const std::size_t size = static_cast<std::size_t>(feature.num_ids * table.dim);
  result.values.resize(size);
  result.magnitudes.resize(size);
  result.counts.assign(static_cast<std::size_t>(feature.num_ids), 0);
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    for (const lookup& x : lookups_of(problem, feature, bag)) {
      result.counts[static_cast<std::size_t>(x.position)] = x.row < 0 ? 0 : 1;
      for (std::int64_t column = 0; column < table.dim; ++column) {
        const std::size_t index = static_cast<std::size_t>(x.position * table.dim + column);
        result.values[index] = exactly(row_element(table, x, column));
        result.magnitudes[index] = std::abs(result.values[index].value);
      }
    }
  }
}

void append_maximum(const table_record& table, const std::vector<lookup>& lookups, pooled& result) {
  const std::vector<std::int32_t> winners = winners_of(table, lookups);
  for (std::int64_t column = 0; column < table.dim; ++column) {
    const std::int32_t winner = winners[static_cast<std::size_t>(column)];
    const double value =
        winner < 0 ? 0.0 : row_element(table, lookups[static_cast<std::size_t>(winner)], column);
    result.values.push_back(exactly(value));
    result.magnitudes.push_back(std::abs(value));
    result.max_positions.push_back(winner);
  }
}

void append_sum(const table_record& table, const std::vector<lookup>& lookups, bool mean,
                pooled& result) {
  const double count = static_cast<double>(count_of(lookups));
  for (std::int64_t column = 0; column < table.dim; ++column) {
    any_order_sum sum;  // fma: the product is not rounded
    for (const lookup& x : lookups) {
      if (x.row >= 0) sum.add(exactly(x.weight * row_element(table, x, column)));
    }
    const bool divide = mean && count > 0.0;
    result.values.push_back(divide ? sum.total() / exactly(count) : sum.total());
    result.magnitudes.push_back(divide ? sum.magnitude_sum() / count : sum.magnitude_sum());
  }
}

}  // namespace

pooled pool(const operations::problem& problem, std::int32_t feature_index) {
  const feature_record& feature = problem.features[static_cast<std::size_t>(feature_index)];
  const table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
  pooled result;
  if (feature.mode == pooling_mode::none) {
    copy_rows(problem, feature, table, result);
    return result;
  }
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    const std::vector<lookup> lookups = lookups_of(problem, feature, bag);
    result.counts.push_back(count_of(lookups));
    if (feature.mode == pooling_mode::max) {
      append_maximum(table, lookups, result);
    } else {
      append_sum(table, lookups, feature.mode == pooling_mode::mean, result);
    }
  }
  return result;
}

}  // namespace warpbag::reference
