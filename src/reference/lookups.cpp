// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"

#include <algorithm>

#include "numerics/float_formats.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::problem;
using operations::table_record;

double element(const void* data, dtype type, std::int64_t index) {
  switch (type) {
    case dtype::f32: return static_cast<double>(static_cast<const float*>(data)[index]);
    case dtype::f16:
      return static_cast<double>(numerics::widen(static_cast<const numerics::f16*>(data)[index]));
    case dtype::bf16:
      return static_cast<double>(numerics::widen(static_cast<const numerics::bf16*>(data)[index]));
  }
  return 0.0;
}

std::int64_t index_at(const void* data, index_type type, std::int64_t index) {
  return type == index_type::i32 ? static_cast<const std::int32_t*>(data)[index]
                                 : static_cast<const std::int64_t*>(data)[index];
}

bag_range range_of(const problem& problem, const feature_record& feature, std::int64_t bag) {
  if (feature.offsets == nullptr) return {bag * feature.hotness, (bag + 1) * feature.hotness};
  const bool is_last = bag + 1 == feature.num_bags && !feature.has_last_offset;
  return {index_at(feature.offsets, problem.ids_type, bag),
          is_last ? feature.num_ids : index_at(feature.offsets, problem.ids_type, bag + 1)};
}

std::vector<lookup> lookups_of(const problem& problem, const feature_record& feature,
                               std::int64_t bag) {
  const table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
  const bag_range range = range_of(problem, feature, bag);
  std::vector<lookup> result;
  for (std::int64_t position = range.begin; position < range.end; ++position) {
    lookup next;
    next.position = position;
    next.bag = bag;
    if (feature.weights != nullptr) next.weight = static_cast<double>(feature.weights[position]);
    const std::int64_t id = index_at(feature.ids, problem.ids_type, position);
    if (id < 0 || id >= table.num_rows) {
      next.kind =
          problem.policy == bad_id_policy::zero ? lookup_kind::zero_row : lookup_kind::absent;
    } else if (id != table.padding_idx) {
      next.kind = lookup_kind::live;
      next.row = id;
    } else if (feature.mode == pooling_mode::none) {
      next.kind = lookup_kind::frozen;
      next.row = id;
    }
    result.push_back(next);
  }
  return result;
}

std::int64_t count_of(const std::vector<lookup>& lookups) {
  return std::count_if(lookups.begin(), lookups.end(),
                       [](const lookup& x) { return x.kind != lookup_kind::absent; });
}

double row_element(const table_record& table, const lookup& lookup, std::int64_t column) {
  if (lookup.row < 0) return 0.0;
  return element(table.rows, table.row_type, lookup.row * table.row_stride + column);
}

std::vector<std::int32_t> winners_of(const table_record& table,
                                     const std::vector<lookup>& lookups) {
  std::vector<std::int32_t> winners(static_cast<std::size_t>(table.dim), -1);
  for (std::int32_t column = 0; column < table.dim; ++column) {
    std::int32_t& winner = winners[static_cast<std::size_t>(column)];
    for (std::size_t i = 0; i < lookups.size(); ++i) {
      if (lookups[i].kind == lookup_kind::absent) continue;
      const bool first = winner < 0;
      if (first || row_element(table, lookups[i], column) >
                       row_element(table, lookups[static_cast<std::size_t>(winner)], column)) {
        winner = static_cast<std::int32_t>(i);
      }
    }
  }
  return winners;
}

}  // namespace warpbag::reference
