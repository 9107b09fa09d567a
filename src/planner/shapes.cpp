// SPDX-License-Identifier: Apache-2.0
#include "planner/shapes.hpp"

#include <algorithm>

#include "planner/message_bytes.hpp"

namespace warpbag::sharding {

namespace {

void append_row_splits(std::vector<shape>& shapes, int num_ranks) {
  // Over fewer than all ranks: so that ranks with more to do elsewhere own less.
  for (const int ranks : {num_ranks, num_ranks * 3 / 4, num_ranks / 2, num_ranks / 4}) {
    const shape split = {.kind = sharding_kind::row_wise, .num_places = ranks};
    if (ranks >= 2 && shapes.back() != split) shapes.push_back(split);
  }
}

void append_column_splits(std::vector<shape>& shapes, sharding_kind kind, int most_places) {
  for (const int pieces : {2, 4, 8}) {
    if (pieces <= most_places) shapes.push_back({.kind = kind, .num_places = pieces});
  }
}

void append_replicas(std::vector<shape>& shapes, const step_model& model, std::size_t table) {
  const shape all_ranks = {.kind = sharding_kind::row_wise, .num_places = model.num_ranks()};
  const std::size_t hot = model.statistics()[table].ids.heavy_hitters().size();
  const auto rows = static_cast<std::size_t>(model.tables()[table].num_embeddings);
  for (const std::size_t count : {std::size_t{64}, std::size_t{1024}, std::size_t{4096}}) {
    if (count > hot || count >= rows) break;
    shapes.push_back(all_ranks);
    shapes.back().num_replicated = count;
    // The sums of a trained row's replicas go to every rank: more than a few never pay.
    if (trains(model.tables()[table])) break;
  }
}

bool can_add_partial_bags(const table_statistics& statistics) {
  return std::all_of(statistics.features.begin(), statistics.features.end(),
                     [](const feature_statistics& feature) {
                       return feature.mode == pooling_mode::sum ||
                              feature.mode == pooling_mode::mean;
                     });
}

}  // namespace

bool is_on_nodes(const shape& form) {
  return form.kind == sharding_kind::table_row_wise || form.kind == sharding_kind::grid;
}

std::vector<shape> shapes_of(const step_model& model, std::size_t table, bool allow_inexact) {
  const int num_ranks = model.num_ranks();
  const int num_nodes = num_ranks / model.ranks_per_node();
  const auto quads = static_cast<int>((model.tables()[table].embedding_dim + 3) / 4);
  std::vector<shape> shapes = {{.kind = sharding_kind::table_wise}};
  if (num_ranks == 1) return shapes;
  append_row_splits(shapes, num_ranks);
  append_column_splits(shapes, sharding_kind::column_wise, std::min(quads, num_ranks));
  if (num_nodes > 1 && model.ranks_per_node() > 1) {
    shapes.push_back({.kind = sharding_kind::table_row_wise});
    append_column_splits(shapes, sharding_kind::grid, std::min(quads, num_nodes));
  }
  shapes.push_back({.kind = sharding_kind::data_parallel, .num_places = 0});
  append_replicas(shapes, model, table);
  if (allow_inexact && can_add_partial_bags(model.statistics()[table])) {
    shapes.push_back({.kind = sharding_kind::row_wise,
                      .num_places = num_ranks,
                      .exchange = row_exchange::partial_bags});
  }
  return shapes;
}

table_plan plan_of(const step_model& model, std::size_t table, const shape& form,
                   const std::vector<int>& places) {
  const std::string& name = model.tables()[table].name;
  table_plan plan;
  switch (form.kind) {
    case sharding_kind::table_wise: plan = table_wise(name, places.front()); break;
    case sharding_kind::column_wise: plan = column_wise(name, places); break;
    case sharding_kind::data_parallel: plan = data_parallel(name); break;
    case sharding_kind::grid: plan = grid(name, places, model.ranks_per_node()); break;
    case sharding_kind::table_row_wise:
      plan = table_row_wise(name, places.front() * model.ranks_per_node(), model.ranks_per_node());
      break;
    case sharding_kind::row_wise:
      plan = row_wise(name, 0);
      plan.ranks = places;
      break;
  }
  const auto& hot = model.statistics()[table].ids.heavy_hitters();
  for (std::size_t i = 0; i < form.num_replicated; ++i) {
    plan.replicated_rows.push_back(hot[i].id);
  }
  std::sort(plan.replicated_rows.begin(), plan.replicated_rows.end());
  plan.exchange = form.exchange;
  return plan;
}

std::string to_string(const shape& form) {
  std::string text(warpbag::to_string(form.kind));
  const std::string places = std::to_string(form.num_places);
  switch (form.kind) {
    case sharding_kind::row_wise: text += " over " + places + " ranks"; break;
    case sharding_kind::column_wise: text += " in " + places + " pieces"; break;
    case sharding_kind::grid: text += " over " + places + " nodes"; break;
    case sharding_kind::table_wise:
    case sharding_kind::data_parallel:
    case sharding_kind::table_row_wise: break;
  }
  if (form.num_replicated > 0) {
    text += " with the " + std::to_string(form.num_replicated) + " hottest rows on every rank";
  }
  if (form.exchange == row_exchange::partial_bags) text += " in partial bags";
  return text;
}

}  // namespace warpbag::sharding
