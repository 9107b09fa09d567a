// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "planner/plan_search.hpp"

namespace warpbag::sharding {

namespace {

/// Sums that should be equal differ by their rounding.
constexpr double rounding = 1e-9;

}  // namespace

bool plan_cost::is_less_than(const plan_cost& other) const {
  if (busiest < other.busiest * (1 - rounding)) return true;
  if (busiest > other.busiest * (1 + rounding)) return false;
  return total < other.total * (1 - rounding);
}

plan_state::plan_state(const step_model& model)
    : capacity_(static_cast<double>(model.machine().memory_bytes)),
      seconds_(static_cast<std::size_t>(model.num_ranks()), model.fixed_seconds()),
      memory_bytes_(seconds_.size()) {}

void plan_state::change(const table_load& load, double sign) {
  for (std::size_t rank = 0; rank < seconds_.size(); ++rank) {
    seconds_[rank] += sign * load.seconds[rank];
    memory_bytes_[rank] += sign * load.memory_bytes[rank];
  }
}

bool plan_state::fits(const table_load& load) const {
  for (std::size_t rank = 0; rank < memory_bytes_.size(); ++rank) {
    if (memory_bytes_[rank] + load.memory_bytes[rank] > capacity_) return false;
  }
  return true;
}

plan_cost plan_state::cost_with(const table_load* load) const {
  plan_cost cost;
  for (std::size_t rank = 0; rank < seconds_.size(); ++rank) {
    const double seconds = seconds_[rank] + (load == nullptr ? 0.0 : load->seconds[rank]);
    cost.busiest = std::max(cost.busiest, seconds);
    cost.total += seconds;
  }
  return cost;
}

candidate_set::candidate_set(const step_model& model, bool allow_inexact) : model_(model) {
  for (std::size_t table = 0; table < model.tables().size(); ++table) {
    shapes_.push_back(shapes_of(model, table, allow_inexact));
    demand_of_shape_.emplace_back();
    demands_.emplace_back();
    std::vector<std::pair<std::size_t, bool>> known;  // replicated rows, or all
    for (const shape& form : shapes_.back()) {
      const std::pair key(form.num_replicated, form.kind == sharding_kind::data_parallel);
      const auto found = std::find(known.begin(), known.end(), key);
      demand_of_shape_.back().push_back(static_cast<std::size_t>(found - known.begin()));
      if (found != known.end()) continue;
      known.push_back(key);
      const std::vector<int> anywhere(static_cast<std::size_t>(form.num_places));
      demands_.back().push_back(model.demand(table, plan_of(model, table, form, anywhere)));
    }
    readings_.push_back(reading_of(table));
  }
}

table_load candidate_set::reading_of(std::size_t table) const {
  // Of a whole table on the first or the last rank; each of them as it is while the other owns.
  table_load load = place(table, 0, {0}).load;
  const table_load other = place(table, 0, {model_.num_ranks() - 1}).load;
  for (std::size_t rank = 0; rank < load.seconds.size(); ++rank) {
    load.seconds[rank] = std::min(load.seconds[rank], other.seconds[rank]);
    load.memory_bytes[rank] = 0.0;
  }
  return load;
}

placement candidate_set::place(std::size_t table, std::size_t shape_index,
                               const std::vector<int>& places) const {
  placement result = {shapes_[table][shape_index], {}, {}};
  result.plan = plan_of(model_, table, result.form, places);
  result.load = model_.load(table, result.plan, demand(table, shape_index));
  return result;
}

}  // namespace warpbag::sharding
