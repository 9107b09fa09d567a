// SPDX-License-Identifier: Apache-2.0
#pragma once
// The search for a plan: every table gets a shape and places for it, so that the busiest rank has
// the least to do and no rank has more than its memory.

#include <optional>
#include <vector>

#include "planner/shapes.hpp"

namespace warpbag::sharding {

/// A table's shape at its places, and what that costs.
struct placement {
  shape form = {};
  table_plan plan = {};
  table_load load = {};
};

/// What is compared: less is better, first by the busiest rank, then by all ranks together.
struct plan_cost {
  double busiest = 0.0;
  double total = 0.0;
  /// By more than rounding.
  bool is_less_than(const plan_cost& other) const;
};

/// Loads of ranks by the tables placed so far.
class plan_state {
 public:
  explicit plan_state(const step_model& model);

  void add(const table_load& load) { change(load, 1.0); }
  void remove(const table_load& load) { change(load, -1.0); }
  bool fits(const table_load& load) const;
  plan_cost cost() const { return cost_with(nullptr); }
  plan_cost cost_with(const table_load& load) const { return cost_with(&load); }

  const std::vector<double>& seconds() const { return seconds_; }
  double free_bytes(int rank) const {
    return capacity_ - memory_bytes_[static_cast<std::size_t>(rank)];
  }

 private:
  void change(const table_load& load, double sign);
  plan_cost cost_with(const table_load* load) const;

  double capacity_;
  std::vector<double> seconds_;
  std::vector<double> memory_bytes_;
};

/// The tables of a planning with the shapes of each; demands are worked out once for each number of
/// replicated rows.
class candidate_set {
 public:
  candidate_set(const step_model& model, bool allow_inexact);

  const step_model& model() const { return model_; }
  std::size_t num_tables() const { return shapes_.size(); }
  const std::vector<shape>& shapes(std::size_t table) const { return shapes_[table]; }
  const table_demand& demand(std::size_t table, std::size_t shape_index) const {
    return demands_[table][demand_of_shape_[table][shape_index]];
  }
  placement place(std::size_t table, std::size_t shape_index, const std::vector<int>& places) const;

  /// About what the table costs ranks that own nothing of it, which nearly every plan has them do.
  const table_load& reading(std::size_t table) const { return readings_[table]; }

 private:
  table_load reading_of(std::size_t table) const;

  const step_model& model_;
  std::vector<std::vector<shape>> shapes_;
  std::vector<std::vector<std::size_t>> demand_of_shape_;
  std::vector<std::vector<table_demand>> demands_;
  std::vector<table_load> readings_;
};

enum class place_order { least_busy, most_free };

/// A shape of a table, which is not in `state`, where ranks have the least to do, or the most free
/// memory. Nothing where it does not fit.
std::optional<placement> place_well(const candidate_set& candidates, std::size_t table,
                                    std::size_t shape_index, const plan_state& state,
                                    place_order order);

/// Placements of all tables that fit: table by table, heaviest first, each where it costs least;
/// then improved table by table. Throws capacity_error.
std::vector<placement> search_greedily(const candidate_set& candidates, double lower_bound);

/// Seconds of the busiest rank that no plan can do without.
double lower_bound_of(const candidate_set& candidates);

struct exact_result {
  std::vector<placement> placements = {};  ///< empty: nothing better than what was known
  double lower_bound = 0.0;                ///< proved
};

/// Tries every shape at all places by branch and bound, to the end or for `max_nodes` nodes.
exact_result search_exactly(const candidate_set& candidates, double known_seconds,
                            double lower_bound, std::int64_t max_nodes);

}  // namespace warpbag::sharding
