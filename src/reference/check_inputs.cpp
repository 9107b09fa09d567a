// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::input_fault;
using operations::input_status;
using operations::problem;
using operations::table_record;

namespace {

/// Offsets first: where they are bad, the bags of the ids are not known.
bool has_bad_offset(const problem& problem, const feature_record& feature, lookup_location& where) {
  if (feature.offsets == nullptr) return false;
  const std::int64_t size = feature.num_bags + (feature.has_last_offset ? 1 : 0);
  std::int64_t previous = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const std::int64_t offset = index_at(feature.offsets, problem.ids_type, i);
    if (offset < previous || offset > feature.num_ids || (i == 0 && offset != 0)) {
      where.bag = i;
      where.value = offset;
      return true;
    }
    previous = offset;
  }
  return false;
}

bool has_bad_id(const problem& problem, const feature_record& feature, lookup_location& where,
                std::int64_t& bad_ids) {
  const table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    const bag_range range = range_of(problem, feature, bag);
    for (std::int64_t position = range.begin; position < range.end; ++position) {
      const std::int64_t id = index_at(feature.ids, problem.ids_type, position);
      if (id >= 0 && id < table.num_rows) continue;
      if (problem.policy == bad_id_policy::error) {
        where.bag = bag;
        where.position = position;
        where.value = id;
        return true;
      }
      ++bad_ids;
    }
  }
  return false;
}

}  // namespace

input_status check_inputs(const problem& problem) {
  input_status status;
  for (std::size_t f = 0; f < problem.features.size(); ++f) {
    const feature_record& feature = problem.features[f];
    lookup_location where;
    where.feature = static_cast<std::int32_t>(f);
    where.table = feature.table;
    if (has_bad_offset(problem, feature, where)) {
      return {input_fault::offset, where, 0};
    }
    if (has_bad_id(problem, feature, where, status.bad_ids)) {
      return {input_fault::id, where, 0};
    }
  }
  return status;
}

}  // namespace warpbag::reference
