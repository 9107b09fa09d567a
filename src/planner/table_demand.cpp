// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "planner/message_bytes.hpp"
#include "planner/step_model.hpp"

namespace warpbag::sharding {

namespace {

/// What is known of the plan's replicated rows. Rows that are not among the heavy hitters are read
/// so rarely that having them on every rank changes nothing that is counted here.
std::vector<heavy_hitter> replicated_hitters(const id_distribution& ids, const table_plan& plan) {
  std::vector<heavy_hitter> rows;
  if (plan.replicated_rows.empty()) return rows;
  for (const heavy_hitter& row : ids.heavy_hitters()) {
    if (std::binary_search(plan.replicated_rows.begin(), plan.replicated_rows.end(), row.id)) {
      rows.push_back(row);
    }
  }
  return rows;
}

struct split_count {
  double owned = 0.0;
  double replicated = 0.0;
};

}  // namespace

table_demand step_model::demand(std::size_t table, const table_plan& plan) const {
  const id_distribution& ids = statistics_[table].ids;
  const bool all_replicated = plan.kind == sharding_kind::data_parallel;
  const std::vector<heavy_hitter> hot = replicated_hitters(ids, plan);
  // Subtrees of equally many samples are many; each size is worked out once.
  std::map<double, split_count> known;
  const auto distinct = [&](double lookups) {
    const auto [entry, is_new] = known.try_emplace(lookups);
    if (is_new) {
      const double all = ids.distinct(lookups);
      const double replicated = all_replicated ? all : ids.distinct_of(lookups, hot);
      entry->second = {std::max(0.0, all - replicated), replicated};
    }
    return entry->second;
  };

  double hotness = 0.0;
  for (const feature_statistics& feature : statistics_[table].features) hotness += feature.hotness;
  table_demand result;
  const split_count fetched = distinct(static_cast<double>(batch_) * hotness);
  result.fetched = fetched.owned;
  result.replica_fetched = fetched.replicated;
  result.partials.resize(static_cast<std::size_t>(num_ranks()));
  result.replica_partials.resize(result.partials.size());
  const split_count touched = distinct(static_cast<double>(slices_.batch) * hotness);
  result.touched = touched.owned;
  result.replica_touched = touched.replicated;
  if (!trains(tables_[table])) return result;
  for (const feature_statistics& feature : statistics_[table].features) {
    for (std::size_t rank = 0; rank < result.partials.size(); ++rank) {
      for (const owned_subtree& subtree : slices_.subtrees[rank]) {
        const split_count rows =
            distinct(static_cast<double>(subtree.num_samples) * feature.hotness);
        result.partials[rank] += rows.owned;
        result.replica_partials[rank] += rows.replicated;
      }
    }
  }
  return result;
}

}  // namespace warpbag::sharding
