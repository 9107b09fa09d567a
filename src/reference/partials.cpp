// SPDX-License-Identifier: Apache-2.0
#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::problem;

std::vector<std::int64_t> split_by_subtree(const problem& problem, std::int32_t feature_index,
                                           const operations::subtree_record& to) {
  const feature_record& feature = problem.features[static_cast<std::size_t>(feature_index)];
  std::vector<std::int64_t> result(static_cast<std::size_t>(feature.num_ids), 0);
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    const std::int64_t sample = feature.first_sample + bag;
    const auto slice = static_cast<std::size_t>(sample * numerics::num_slices / feature.batch);
    const std::int64_t subtree = to.subtree_of_slice[slice];
    const bag_range range = range_of(problem, feature, bag);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const std::int64_t id = index_at(feature.ids, problem.ids_type, i);
      std::int64_t& split = result[static_cast<std::size_t>(i)];
      split = to.num_routed * to.num_subtrees;
      if (id < 0 || id > to.num_routed) split = -1;
      if (id >= 0 && id < to.num_routed && subtree >= 0) split = id * to.num_subtrees + subtree;
    }
  }
  return result;
}

packed_partials pack_partials(const problem& problem, std::int32_t feature_index,
                              const operations::packed_record& to) {
  const feature_record& feature = problem.features[static_cast<std::size_t>(feature_index)];
  std::map<std::int64_t, std::uint32_t> occurrences;  // of each pair
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    for (const lookup& x : lookups_of(problem, feature, bag)) {
      if (x.kind == lookup_kind::live) ++occurrences[x.row];
    }
  }
  packed_partials result;
  result.sums.resize(static_cast<std::size_t>(to.num_destinations), 0);
  for (const auto& [pair, count] : occurrences) {
    const std::int64_t compact = pair / to.num_subtrees;
    const std::int32_t slice = to.first_slice[pair % to.num_subtrees];
    result.packed.push_back(to.rows[compact] * numerics::num_slices + slice);
    result.occurrences.push_back(count);
    std::size_t destination = 0;
    for (std::int64_t end = to.counts[0]; compact >= end;) end += to.counts[++destination];
    result.sums[destination] += 1;
  }
  return result;
}

}  // namespace warpbag::reference
