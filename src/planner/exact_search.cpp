// SPDX-License-Identifier: Apache-2.0
// Branch and bound for small cases. The problem is a makespan one with some hundred choices a
// table, for which the mean over ranks is a close bound; so depth-first search with that bound
// needs no linear program. Libraries were considered and left: what Debian packages of mixed
// integer programming is under the GPL (GLPK) or a stack of five libraries (CBC), and HiGHS comes
// as a Python package alone.

#include <algorithm>
#include <numeric>

#include "planner/plan_search.hpp"

namespace warpbag::sharding {

namespace {

constexpr double rounding = 1e-9;

/// Calls visit(places) for every ascending choice of `count` of `num_places` places.
template <typename Visit>
void visit_choices(int num_places, int count, Visit&& visit) {
  std::vector<int> places(static_cast<std::size_t>(count));
  std::iota(places.begin(), places.end(), 0);
  while (true) {
    visit(places);
    int i = count - 1;
    while (i >= 0 && places[static_cast<std::size_t>(i)] == num_places - count + i) --i;
    if (i < 0) return;
    ++places[static_cast<std::size_t>(i)];
    for (int j = i + 1; j < count; ++j) {
      places[static_cast<std::size_t>(j)] = places[static_cast<std::size_t>(j - 1)] + 1;
    }
  }
}

class exact_search {
 public:
  exact_search(const candidate_set& candidates, double known_seconds, double lower_bound,
               std::int64_t max_nodes)
      : model_(candidates.model()),
        best_(known_seconds),
        open_bound_(known_seconds),
        lower_bound_(lower_bound),
        nodes_left_(max_nodes) {
    for (std::size_t table = 0; table < candidates.num_tables(); ++table) {
      choices_.push_back(choices_of(candidates, table));
    }
    // Tables with the most to lose first: then bounds are close early.
    std::sort(choices_.begin(), choices_.end(), [](const table_choices& a, const table_choices& b) {
      return a.least_total != b.least_total ? a.least_total > b.least_total : a.table < b.table;
    });
    remaining_.resize(choices_.size() + 1);
    remaining_.back().of_rank.assign(static_cast<std::size_t>(model_.num_ranks()), 0.0);
    for (std::size_t i = choices_.size(); i-- > 0;) {
      remaining_[i] = remaining_[i + 1];
      remaining_[i].total += choices_[i].least_total;
      for (std::size_t rank = 0; rank < choices_[i].least.size(); ++rank) {
        remaining_[i].of_rank[rank] += choices_[i].least[rank];
      }
    }
    chosen_.resize(choices_.size());
  }

  exact_result run() {
    visit(plan_state(model_), 0);
    exact_result result;
    result.lower_bound = std::max(lower_bound_, std::min(best_, open_bound_));
    if (best_chosen_.empty()) return result;
    result.placements.resize(choices_.size());
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      result.placements[choices_[i].table] = std::move(choices_[i].placements[best_chosen_[i]]);
    }
    return result;
  }

 private:
  struct table_choices {
    std::size_t table = 0;
    std::vector<placement> placements = {};
    std::vector<double> least = {};  // of each rank
    double least_total = 0.0;
  };
  /// What the tables that are not placed yet cost at least.
  struct remaining_cost {
    std::vector<double> of_rank = {};
    double total = 0.0;
  };

  table_choices choices_of(const candidate_set& candidates, std::size_t table) const {
    table_choices choices = {table, {}, {}, 1e300};
    choices.least.assign(static_cast<std::size_t>(model_.num_ranks()), 1e300);
    const auto& shapes = candidates.shapes(table);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const int size = is_on_nodes(shapes[i]) ? model_.ranks_per_node() : 1;
      visit_choices(model_.num_ranks() / size, shapes[i].num_places,
                    [&](const std::vector<int>& places) {
                      choices.placements.push_back(candidates.place(table, i, places));
                    });
    }
    for (const placement& choice : choices.placements) {
      const auto& seconds = choice.load.seconds;
      choices.least_total =
          std::min(choices.least_total, std::accumulate(seconds.begin(), seconds.end(), 0.0));
      for (std::size_t rank = 0; rank < seconds.size(); ++rank) {
        choices.least[rank] = std::min(choices.least[rank], seconds[rank]);
      }
    }
    return choices;
  }

  /// Bound on all plans that go on from `state` plus `load`, with tables `next`, ... to place.
  double bound(const plan_state& state, const table_load& load, std::size_t next) const {
    double most = 0.0;
    double total = remaining_[next].total;
    for (std::size_t rank = 0; rank < load.seconds.size(); ++rank) {
      const double seconds = state.seconds()[rank] + load.seconds[rank];
      most = std::max(most, seconds + remaining_[next].of_rank[rank]);
      total += seconds;
    }
    return std::max(most, total / model_.num_ranks());
  }

  void visit(const plan_state& state, std::size_t depth) {
    if (depth == choices_.size()) {
      const double seconds = state.cost().busiest;
      if (seconds < best_ * (1 - rounding)) {
        best_ = seconds;
        best_chosen_ = chosen_;
      }
      return;
    }
    std::vector<std::pair<double, std::size_t>> children;
    const auto& placements = choices_[depth].placements;
    for (std::size_t i = 0; i < placements.size(); ++i) {
      if (!state.fits(placements[i].load)) continue;
      children.emplace_back(bound(state, placements[i].load, depth + 1), i);
    }
    std::sort(children.begin(), children.end());
    for (const auto& [least, choice] : children) {
      if (least >= best_ * (1 - rounding) || best_ <= lower_bound_ * (1 + rounding)) return;
      if (nodes_left_ <= 0) {
        open_bound_ = std::min(open_bound_, least);
        return;
      }
      --nodes_left_;
      chosen_[depth] = choice;
      plan_state next = state;
      next.add(placements[choice].load);
      visit(next, depth + 1);
    }
  }

  const step_model& model_;
  std::vector<table_choices> choices_;
  std::vector<remaining_cost> remaining_;  // by depth
  std::vector<std::size_t> chosen_;
  std::vector<std::size_t> best_chosen_;
  double best_;
  double open_bound_;  // of what was not visited for want of nodes
  double lower_bound_;
  std::int64_t nodes_left_;
};

}  // namespace

exact_result search_exactly(const candidate_set& candidates, double known_seconds,
                            double lower_bound, std::int64_t max_nodes) {
  return exact_search(candidates, known_seconds, lower_bound, max_nodes).run();
}

}  // namespace warpbag::sharding
