// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

operations::occurrences deduplicate(const operations::problem& problem) {
  std::map<std::int64_t, std::vector<std::int64_t>> positions_of_row;
  for (const operations::feature_record& feature : problem.features) {
    const operations::table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
    for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
      for (const lookup& x : lookups_of(problem, feature, bag)) {
        if (x.kind != lookup_kind::live) continue;
        positions_of_row[table.first_row + x.row].push_back(feature.first_position + x.position);
      }
    }
  }
  operations::occurrences result;
  result.run_begins.push_back(0);
  for (const auto& [row, positions] : positions_of_row) {
    result.rows.push_back(row);
    result.positions.insert(result.positions.end(), positions.begin(), positions.end());
    result.run_begins.push_back(static_cast<std::int64_t>(result.positions.size()));
  }
  return result;
}

}  // namespace warpbag::reference
