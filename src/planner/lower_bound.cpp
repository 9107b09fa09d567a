// SPDX-License-Identifier: Apache-2.0
// Proved bounds on the busiest rank of every plan, memory aside: it has at least the mean of any
// set of ranks.
//
// Where a table's rows come one by one (row_exchange::rows), its cost to a rank is linear in the
// shares of the rows that the ranks own: it is the mean, weighted by the shares, of its costs as a
// whole table on each of the ranks. Cutting columns only adds ids to that. So the least that
// a table costs a set of ranks together is what it costs them as a whole table on some rank. What
// else there is (every row on every rank, partial bags) has one plan each. The sum of all tables'
// least over the size of the set is a bound. The sets are all ranks, the ranks that make more
// partial sums than most (they read for others whatever the plan is), and the one that makes most.

#include <algorithm>
#include <numeric>

#include "planner/message_bytes.hpp"
#include "planner/plan_search.hpp"

namespace warpbag::sharding {

namespace {

double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// A set of ranks, by rank: 1 for its members, 0 for others.
using rank_set = std::vector<double>;

double sum_over(const rank_set& set, const std::vector<double>& values) {
  return std::inner_product(set.begin(), set.end(), values.begin(), 0.0);
}

/// The owner with which a whole table costs the ranks of `set` least, together. load_sum has the
/// same costs; here those of all owners come at once, without what does not depend on the owner.
int best_owner(const step_model& model, std::size_t table, const table_demand& demand,
               const rank_set& set) {
  const table_config& config = model.tables()[table];
  const topology& machine = model.machine();
  const double near = 1.0 / machine.intra_node.bandwidth;
  const double far = 1.0 / machine.inter_node.bandwidth;
  const auto answer = static_cast<double>(answer_bytes(config, config.embedding_dim));
  const auto partial = static_cast<double>(partial_bytes(config, config.embedding_dim));
  std::vector<double> read;  // bytes between each rank and the owner
  for (const double partials : demand.partials) {
    read.push_back(demand.fetched * (static_cast<double>(request_bytes()) + answer) +
                   partials * partial);
  }
  const double all_read = total(read);
  const double set_read = sum_over(set, read);
  const double owner_local =
      (2.0 * demand.fetched * answer * model.num_ranks() + total(demand.partials) * partial +
       2.0 * demand.touched * stored_row_bytes(config, config.embedding_dim)) /
      machine.memory_bandwidth;
  const auto node_size = static_cast<std::size_t>(model.ranks_per_node());
  int best = 0;
  double least = 1e300;
  for (std::size_t first = 0; first < read.size(); first += node_size) {
    double node_read = 0.0;
    double node_set_read = 0.0;
    for (std::size_t rank = first; rank < first + node_size; ++rank) {
      node_read += read[rank];
      node_set_read += set[rank] * read[rank];
    }
    const double from_set = near * node_set_read + far * (set_read - node_set_read);
    const double from_all = near * node_read + far * (all_read - node_read);
    for (std::size_t rank = first; rank < first + node_size; ++rank) {
      // A member that owns serves everybody, and asks itself for nothing.
      const double own = from_all + owner_local - 2.0 * near * read[rank];
      const double cost = from_set + set[rank] * own;
      if (cost >= least) continue;
      least = cost;
      best = static_cast<int>(rank);
    }
  }
  return best;
}

/// Lowers `least`, by set, to what a shape costs each set at least.
void lower_to(std::vector<double>& least, const candidate_set& candidates, std::size_t table,
              std::size_t shape_index, const std::vector<rank_set>& sets) {
  const step_model& model = candidates.model();
  const shape& form = candidates.shapes(table)[shape_index];
  if (form.kind == sharding_kind::data_parallel || form.exchange == row_exchange::partial_bags) {
    std::vector<int> places(static_cast<std::size_t>(form.num_places));
    std::iota(places.begin(), places.end(), 0);
    const table_load load = candidates.place(table, shape_index, places).load;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      least[s] = std::min(least[s], sum_over(sets[s], load.seconds));
    }
    return;
  }
  const table_demand& demand = candidates.demand(table, shape_index);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    table_plan whole = plan_of(model, table, form, {best_owner(model, table, demand, sets[s])});
    whole.kind = sharding_kind::table_wise;
    least[s] = std::min(least[s], sum_over(sets[s], model.load(table, whole, demand).seconds));
  }
}

/// The least over all shapes, by set. Shapes that differ only by where the rows are have one least.
std::vector<double> least_of(const candidate_set& candidates, std::size_t table,
                             const std::vector<rank_set>& sets) {
  std::vector<double> least(sets.size(), 1e300);
  const auto& shapes = candidates.shapes(table);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (i == 0 || shapes[i].kind == sharding_kind::data_parallel || shapes[i].num_replicated > 0 ||
        shapes[i].exchange == row_exchange::partial_bags) {
      lower_to(least, candidates, table, i, sets);
    }
  }
  return least;
}

std::vector<rank_set> rank_sets(const candidate_set& candidates) {
  const auto num_ranks = static_cast<std::size_t>(candidates.model().num_ranks());
  std::vector<double> partials(num_ranks);
  for (std::size_t table = 0; table < candidates.num_tables(); ++table) {
    const std::vector<double>& of_table = candidates.demand(table, 0).partials;
    for (std::size_t rank = 0; rank < num_ranks; ++rank) partials[rank] += of_table[rank];
  }
  const double mean = total(partials) / static_cast<double>(num_ranks);
  std::vector<rank_set> sets = {rank_set(num_ranks, 1.0)};
  rank_set heavy(num_ranks);
  for (std::size_t rank = 0; rank < num_ranks; ++rank) {
    heavy[rank] = partials[rank] > mean * (1 + 1e-9) ? 1.0 : 0.0;
  }
  if (total(heavy) == 0.0) return sets;
  sets.push_back(heavy);
  sets.emplace_back(num_ranks);
  const auto most = std::max_element(partials.begin(), partials.end());
  sets.back()[static_cast<std::size_t>(most - partials.begin())] = 1.0;
  return sets;
}

}  // namespace

double lower_bound_of(const candidate_set& candidates) {
  const std::vector<rank_set> sets = rank_sets(candidates);
  std::vector<double> sums(sets.size());
  for (std::size_t table = 0; table < candidates.num_tables(); ++table) {
    const std::vector<double> least = least_of(candidates, table, sets);
    for (std::size_t s = 0; s < sets.size(); ++s) sums[s] += least[s];
  }
  double bound = 0.0;
  for (std::size_t s = 0; s < sets.size(); ++s) bound = std::max(bound, sums[s] / total(sets[s]));
  return candidates.model().fixed_seconds() + bound;
}

}  // namespace warpbag::sharding
