// SPDX-License-Identifier: Apache-2.0
#include "warpbag/planner.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

#include "collection/refuse.hpp"
#include "planner/plan_search.hpp"
#include "planner/predict.hpp"

namespace warpbag {

namespace {

using namespace sharding;

constexpr std::size_t small_tables = 12;
constexpr int small_ranks = 8;

std::vector<placement> search(const candidate_set& candidates, const planner_options& options,
                              double& lower_bound) {
  const step_model& model = candidates.model();
  std::vector<placement> placements = search_greedily(candidates, lower_bound);
  plan_state state(model);
  for (const placement& part : placements) state.add(part.load);
  const double seconds = state.cost().busiest;
  if (candidates.num_tables() > small_tables || model.num_ranks() > small_ranks ||
      options.max_search_nodes <= 0 || seconds <= lower_bound * (1 + 1e-9)) {
    return placements;
  }
  exact_result exact = search_exactly(candidates, seconds, lower_bound, options.max_search_nodes);
  lower_bound = exact.lower_bound;
  return exact.placements.empty() ? std::move(placements) : std::move(exact.placements);
}

/// Every other shape of the table, where it is cheapest beside the others, the quickest first.
std::vector<table_alternative> alternatives_to(const candidate_set& candidates, std::size_t table,
                                               const placement& chosen, plan_state& state) {
  state.remove(chosen.load);
  std::vector<table_alternative> alternatives;
  for (std::size_t i = 0; i < candidates.shapes(table).size(); ++i) {
    const shape& form = candidates.shapes(table)[i];
    // Rows over some of the ranks say little beside rows over all.
    const bool is_partial_split =
        form.kind == sharding_kind::row_wise && form.num_places < candidates.model().num_ranks();
    if (form == chosen.form || is_partial_split) continue;
    const auto other = place_well(candidates, table, i, state, place_order::least_busy);
    alternatives.push_back({sharding::to_string(form), other.has_value(),
                            other ? state.cost_with(other->load).busiest : 0.0});
  }
  state.add(chosen.load);
  std::stable_sort(alternatives.begin(), alternatives.end(),
                   [](const table_alternative& a, const table_alternative& b) {
                     return a.fits != b.fits ? a.fits : a.seconds < b.seconds;
                   });
  return alternatives;
}

std::string why(const std::vector<table_alternative>& alternatives, double seconds) {
  if (alternatives.empty()) return "there is one rank";
  const table_alternative& next = alternatives.front();
  if (!next.fits) return "nothing else fits";
  std::string text;
  const double longer = next.seconds / seconds - 1.0;
  if (longer <= 1e-5) {
    text = "no other makes the step shorter";
  } else {
    char percent[32];
    static_cast<void>(
        std::snprintf(percent, sizeof percent, "%.*f %%", longer < 0.01 ? 3 : 1, 100.0 * longer));
    text = next.what + " makes the step " + percent + " longer";
  }
  const auto unfit = std::find_if(alternatives.begin(), alternatives.end(),
                                  [](const table_alternative& other) { return !other.fits; });
  if (unfit != alternatives.end()) text += "; " + unfit->what + " does not fit";
  return text;
}

void explain(const candidate_set& candidates, const std::vector<placement>& placements,
             step_prediction& prediction) {
  plan_state state(candidates.model());
  for (const placement& part : placements) state.add(part.load);
  for (std::size_t table = 0; table < placements.size(); ++table) {
    table_prediction& told = prediction.tables[table];
    told.alternatives = alternatives_to(candidates, table, placements[table], state);
    told.why = why(told.alternatives, prediction.seconds);
  }
}

void check_names(std::span<const table_config> tables) {
  std::set<std::string_view> names;
  for (const table_config& table : tables) {
    if (!names.insert(table.name).second) {
      collection::refuse("table '", table.name, "' is there twice");
    }
  }
}

}  // namespace

planning_result plan_sharding(std::span<const table_config> tables,
                              std::span<const table_statistics> statistics,
                              std::int64_t batch_per_rank, const topology& machine,
                              const planner_options& options) {
  check_planning(tables, statistics, batch_per_rank, machine);
  check_names(tables);
  const step_model model(tables, statistics, batch_per_rank, machine, options.headers);
  const candidate_set candidates(model, options.allow_inexact);
  planning_result result;
  result.lower_bound = lower_bound_of(candidates);
  const std::vector<placement> placements = search(candidates, options, result.lower_bound);

  std::vector<table_load> loads;
  result.plan.num_ranks = machine.num_ranks;
  for (const placement& part : placements) {
    result.plan.tables.push_back(part.plan);
    loads.push_back(part.load);
  }
  result.prediction = sum_of(model, loads);
  result.prediction.header_bytes =
      header_bytes(options.headers, machine.num_ranks, static_cast<std::int64_t>(tables.size()));
  explain(candidates, placements, result.prediction);
  // Rounding may put the sum of parts a little below what was proved of it.
  result.lower_bound = std::min(result.lower_bound, result.prediction.seconds);
  result.gap = result.lower_bound > 0.0 ? result.prediction.seconds / result.lower_bound - 1 : 0.0;
  return result;
}

}  // namespace warpbag
