// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "collection/refuse.hpp"
#include "planner/plan_search.hpp"

namespace warpbag::sharding {

namespace {

/// Improving stops within this of the bound: what is left is less than the model knows.
constexpr double near_enough = 1e-4;
constexpr int improvement_rounds = 4;

/// The `form.num_places` best places (ranks or nodes) for the table, ascending.
std::vector<int> best_places(const candidate_set& candidates, std::size_t table, const shape& form,
                             const plan_state& state, place_order order) {
  const step_model& model = candidates.model();
  const int size = is_on_nodes(form) ? model.ranks_per_node() : 1;
  const auto count = static_cast<std::size_t>(form.num_places);
  std::vector<std::pair<double, int>> places;
  for (int place = 0; place < model.num_ranks() / size; ++place) {
    double key = -1e300;
    for (int rank = place * size; rank < (place + 1) * size; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      key = std::max(key, order == place_order::least_busy
                              ? state.seconds()[r] + candidates.reading(table).seconds[r]
                              : -state.free_bytes(rank));
    }
    places.emplace_back(key, place);
  }
  if (count < places.size()) {
    std::nth_element(places.begin(), places.begin() + form.num_places, places.end());
    places.resize(count);
  }
  std::vector<int> chosen;
  for (const auto& [key, place] : places) chosen.push_back(place);
  std::sort(chosen.begin(), chosen.end());
  chosen.resize(count);
  return chosen;
}

/// The cheapest of the shapes that fit.
std::optional<placement> best_placement(const candidate_set& candidates, std::size_t table,
                                        const plan_state& state) {
  std::optional<placement> best;
  plan_cost least;
  for (std::size_t i = 0; i < candidates.shapes(table).size(); ++i) {
    auto candidate = place_well(candidates, table, i, state, place_order::least_busy);
    if (!candidate) continue;
    const plan_cost cost = state.cost_with(candidate->load);
    if (best && !cost.is_less_than(least)) continue;
    best = std::move(candidate);
    least = cost;
  }
  return best;
}

/// The shape that takes least of the fullest rank's memory.
std::optional<placement> smallest_placement(const candidate_set& candidates, std::size_t table,
                                            const plan_state& state) {
  std::optional<placement> best;
  double least = 0.0;
  for (std::size_t i = 0; i < candidates.shapes(table).size(); ++i) {
    auto candidate = place_well(candidates, table, i, state, place_order::most_free);
    if (!candidate) continue;
    const auto& memory = candidate->load.memory_bytes;
    const double most = *std::max_element(memory.begin(), memory.end());
    if (best && most >= least) continue;
    best = std::move(candidate);
    least = most;
  }
  return best;
}

[[noreturn]] void refuse_capacity(const candidate_set& candidates, std::size_t table,
                                  const plan_state& state, double all_bytes) {
  const step_model& model = candidates.model();
  const table_config& config = model.tables()[table];
  const double bytes =
      static_cast<double>(config.num_embeddings) * stored_row_bytes(config, config.embedding_dim);
  int freest = 0;
  for (int rank = 1; rank < model.num_ranks(); ++rank) {
    if (state.free_bytes(rank) > state.free_bytes(freest)) freest = rank;
  }
  const auto whole = [](double value) { return static_cast<std::int64_t>(value); };
  std::ostringstream text;
  text << "table '" << config.name << "' does not fit: it needs " << whole(bytes)
       << " bytes with its optimizer state, at best "
       << whole(bytes / static_cast<double>(model.num_ranks())) << " on each of "
       << model.num_ranks() << " ranks; rank " << freest << ", the freest, has "
       << whole(state.free_bytes(freest)) << " of " << model.machine().memory_bytes
       << " free. All tables need " << whole(all_bytes) << " bytes";
  throw capacity_error(text.str(), config.name);
}

/// Tables by what `weight` says of them, the heaviest first.
template <typename Weight>
std::vector<std::size_t> heaviest_first(std::size_t count, Weight&& weight) {
  std::vector<double> weights;
  for (std::size_t table = 0; table < count; ++table) weights.push_back(weight(table));
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
  return order;
}

double table_bytes(const table_config& table) {
  return static_cast<double>(table.num_embeddings) * stored_row_bytes(table, table.embedding_dim);
}

/// Table by table, each where it costs least when all later ones are read as they will be. Nothing
/// when it runs out of memory.
std::optional<std::vector<placement>> place_by_cost(const candidate_set& candidates,
                                                    const std::vector<std::size_t>& order) {
  plan_state state(candidates.model());
  for (const std::size_t table : order) state.add(candidates.reading(table));
  std::vector<placement> placements(candidates.num_tables());
  for (const std::size_t table : order) {
    state.remove(candidates.reading(table));
    auto best = best_placement(candidates, table, state);
    if (!best) return std::nullopt;
    state.add(best->load);
    placements[table] = std::move(*best);
  }
  return placements;
}

std::vector<placement> place_by_memory(const candidate_set& candidates) {
  const auto tables = candidates.model().tables();
  plan_state state(candidates.model());
  std::vector<placement> placements(candidates.num_tables());
  double all_bytes = 0.0;
  for (const table_config& table : tables) all_bytes += table_bytes(table);
  for (const std::size_t table :
       heaviest_first(tables.size(), [&](std::size_t t) { return table_bytes(tables[t]); })) {
    auto smallest = smallest_placement(candidates, table, state);
    if (!smallest) refuse_capacity(candidates, table, state, all_bytes);
    state.add(smallest->load);
    placements[table] = std::move(*smallest);
  }
  return placements;
}

/// Moves one table after the other to where it costs less, until none does.
void improve(const candidate_set& candidates, const std::vector<std::size_t>& order,
             double lower_bound, std::vector<placement>& placements) {
  plan_state state(candidates.model());
  for (const placement& part : placements) state.add(part.load);
  for (int round = 0; round < improvement_rounds; ++round) {
    bool improved = false;
    for (const std::size_t table : order) {
      const plan_cost before = state.cost();
      if (before.busiest <= lower_bound * (1 + near_enough)) return;
      state.remove(placements[table].load);
      auto best = best_placement(candidates, table, state);
      if (best && state.cost_with(best->load).is_less_than(before)) {
        placements[table] = std::move(*best);
        improved = true;
      }
      state.add(placements[table].load);
    }
    if (!improved) return;
  }
}

}  // namespace

std::optional<placement> place_well(const candidate_set& candidates, std::size_t table,
                                    std::size_t shape_index, const plan_state& state,
                                    place_order order) {
  const shape& form = candidates.shapes(table)[shape_index];
  placement result =
      candidates.place(table, shape_index, best_places(candidates, table, form, state, order));
  if (state.fits(result.load)) return result;
  return order == place_order::most_free
             ? std::nullopt
             : place_well(candidates, table, shape_index, state, place_order::most_free);
}

std::vector<placement> search_greedily(const candidate_set& candidates, double lower_bound) {
  const auto total_seconds = [&](std::size_t table) {
    const table_load load = candidates.place(table, 0, {0}).load;
    return std::accumulate(load.seconds.begin(), load.seconds.end(), 0.0);
  };
  const std::vector<std::size_t> order = heaviest_first(candidates.num_tables(), total_seconds);
  auto placements = place_by_cost(candidates, order);
  if (!placements) placements = place_by_memory(candidates);
  improve(candidates, order, lower_bound, *placements);
  return std::move(*placements);
}

}  // namespace warpbag::sharding
