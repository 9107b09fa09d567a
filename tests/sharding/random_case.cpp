// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <ostream>
#include <set>

#include "sharding/sharded_case.hpp"
#include "support/draw_optimizer.hpp"

namespace warpbag::support {

namespace {

table_config draw_table(random_source& random, std::size_t number, const case_limits& limits) {
  table_config table;
  table.name = "table" + std::to_string(number);
  table.num_embeddings = random.chance(0.1) ? 1 : log_uniform(random, limits.max_rows);
  table.embedding_dim =
      random.pick<std::int64_t>({1, 2, 4, 5, 8, 16, 24, 32, 33, 64, 128, 132, 160, 256, 300});
  table.embedding_dim = std::min(table.embedding_dim, limits.max_dim);
  table.type = random.pick({dtype::f32, dtype::f32, dtype::f16, dtype::bf16});
  if (random.chance(0.3)) table.padding_idx = random.below(table.num_embeddings);
  if (random.chance(0.3)) {
    table.max_norm = random.pick({0.5F, 1.0F});
    table.norm_type = random.pick({1.0F, 2.0F, 3.5F, INFINITY});
  }
  table.scale_grad_by_freq = random.chance(0.3);
  table.freeze = random.chance(0.1);
  table.init = random.pick({initialization::normal, initialization::uniform});
  table.init_scale = 0.5F;
  table.optimizer = draw_optimizer(random, table.type);
  return table;
}

table_plan draw_plan(random_source& random, const table_config& table, int ranks) {
  const auto any = [&] { return static_cast<int>(random.below(ranks)); };
  table_plan plan = data_parallel(table.name);
  const auto kind = static_cast<sharding_kind>(random.below(6));
  const int most_pieces =
      static_cast<int>(std::min<std::int64_t>(3, (table.embedding_dim + 3) / 4));
  switch (kind) {
    case sharding_kind::table_wise: plan = table_wise(table.name, any()); break;
    case sharding_kind::row_wise: plan = row_wise(table.name, ranks); break;
    case sharding_kind::data_parallel: break;
    case sharding_kind::column_wise: {
      std::vector<int> of_pieces(static_cast<std::size_t>(1 + random.below(most_pieces)));
      for (int& rank : of_pieces) rank = any();
      plan = of_pieces.size() == 1 ? table_wise(table.name, of_pieces[0])
                                   : column_wise(table.name, of_pieces);
      break;
    }
    case sharding_kind::table_row_wise: {
      const int first = any();
      plan = table_row_wise(table.name, first, 1 + static_cast<int>(random.below(ranks - first)));
      break;
    }
    case sharding_kind::grid: {
      const int per_node = ranks % 2 == 0 ? ranks / 2 : 1;
      std::vector<int> nodes;
      for (int n = 0; n < std::min(most_pieces, ranks / per_node); ++n) nodes.push_back(n);
      plan = nodes.size() < 2 ? row_wise(table.name, ranks) : grid(table.name, nodes, per_node);
      break;
    }
  }
  if (plan.kind != sharding_kind::data_parallel && random.chance(0.3)) {
    std::set<std::int64_t> rows;
    for (int i = 0; i < 5; ++i)
      rows.insert(random.below(std::min<std::int64_t>(table.num_embeddings, 12)));
    plan.replicated_rows.assign(rows.begin(), rows.end());
  }
  return plan;
}

/// Small ids more often, as in real tables.
std::int64_t draw_id(random_source& random, const table_config& table, double bad_chance) {
  if (random.chance(bad_chance)) return random.pick<std::int64_t>({-1, -7, table.num_embeddings});
  return random.chance(0.5) ? random.below(table.num_embeddings)
                            : log_uniform(random, table.num_embeddings) - 1;
}

feature_batch draw_bags(random_source& random, const sharded_case& drawn, std::size_t f,
                        std::int64_t samples, std::int64_t max_hotness, double bad_chance,
                        bool weighted) {
  const table_config& table = *std::find_if(
      drawn.tables.begin(), drawn.tables.end(),
      [&](const table_config& candidate) { return candidate.name == drawn.features[f].table; });
  feature_batch batch;
  const std::int64_t fixed = random.below(max_hotness) + (f % 2 == 0 ? 1 : 0);
  for (std::int64_t bag = 0; bag < samples; ++bag) {
    batch.lengths.push_back(drawn.forms[f] == bags_form::fixed ? fixed
                            : random.chance(0.3)               ? 0
                                                               : random.below(max_hotness));
    for (std::int64_t i = 0; i < batch.lengths.back(); ++i) {
      batch.ids.push_back(draw_id(random, table, bad_chance));
      if (weighted) batch.weights.push_back(static_cast<float>(random.unit() * 3.0 - 1.0));
    }
  }
  const bool per_lookup = drawn.features[f].mode == pooling_mode::none;
  const std::size_t rows = per_lookup ? batch.ids.size() : batch.lengths.size();
  batch.gradient.resize(rows * static_cast<std::size_t>(table.embedding_dim));
  for (float& x : batch.gradient) x = static_cast<float>(random.unit() * 2.0 - 1.0);
  return batch;
}

std::vector<std::int64_t> draw_sizes(random_source& random, int ranks, std::int64_t most) {
  const int style = static_cast<int>(random.below(4));
  std::vector<std::int64_t> sizes;
  const std::int64_t even = random.below(most + 1);
  for (int rank = 0; rank < ranks; ++rank) {
    if (style == 0) {
      sizes.push_back(even);
    } else if (style == 1) {
      sizes.push_back(random.chance(0.5) ? 0 : random.below(most + 1));
    } else if (style == 2) {
      sizes.push_back(random.below(4));
    } else {
      sizes.push_back(random.below(most + 1));
    }
  }
  return sizes;
}

bool is_partial(const sharded_case& drawn, const std::string& table) {
  return std::any_of(drawn.plan.tables.begin(), drawn.plan.tables.end(),
                     [&](const table_plan& plan) {
                       return plan.table == table && plan.exchange == row_exchange::partial_bags;
                     });
}

}  // namespace

sharded_case random_case(std::uint64_t seed, int num_ranks, const case_limits& limits) {
  random_source random(seed);
  sharded_case drawn;
  drawn.seed = seed;
  drawn.num_ranks = num_ranks;
  drawn.plan.num_ranks = num_ranks;
  const auto num_tables = static_cast<std::size_t>(1 + random.below(limits.max_tables));
  for (std::size_t t = 0; t < num_tables; ++t) {
    drawn.tables.push_back(draw_table(random, t, limits));
    drawn.plan.tables.push_back(draw_plan(random, drawn.tables[t], num_ranks));
    if (limits.partial_bags && random.chance(0.7)) {
      table_plan& plan = drawn.plan.tables.back();
      if (plan.kind != sharding_kind::table_row_wise) plan = row_wise(plan.table, num_ranks);
      plan.replicated_rows.clear();
      plan.exchange = row_exchange::partial_bags;
    }
  }
  const std::size_t num_features =
      num_tables + static_cast<std::size_t>(random.below(limits.max_more_features + 1));
  std::vector<bool> weighted;
  for (std::size_t f = 0; f < num_features; ++f) {
    feature_config feature;
    feature.name = "feature" + std::to_string(f);
    feature.table =
        drawn.tables[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(num_tables)))]
            .name;
    feature.mode = random.pick({pooling_mode::sum, pooling_mode::sum, pooling_mode::mean,
                                pooling_mode::max, pooling_mode::none});
    if (is_partial(drawn, feature.table) &&
        (feature.mode == pooling_mode::max || feature.mode == pooling_mode::none)) {
      feature.mode = pooling_mode::mean;
    }
    drawn.features.push_back(feature);
    drawn.forms.push_back(
        random.pick({bags_form::fixed, bags_form::offsets, bags_form::offsets_with_last}));
    weighted.push_back((feature.mode == pooling_mode::sum || feature.mode == pooling_mode::mean) &&
                       random.chance(0.4));
  }
  drawn.options.seed = random.word();
  drawn.options.allow_inexact = limits.partial_bags;
  drawn.options.policy =
      random.pick({bad_id_policy::error, bad_id_policy::skip, bad_id_policy::zero});
  const double bad_chance = drawn.options.policy == bad_id_policy::error ? 0.0 : 0.05;
  drawn.ids_type = random.pick({index_type::i32, index_type::i64});
  drawn.output_type = random.pick({dtype::f32, dtype::f16, dtype::bf16});
  drawn.gradient_type = random.pick({dtype::f32, dtype::f16, dtype::bf16});
  for (std::int64_t step = 0; step < limits.steps; ++step) {
    const auto common = draw_sizes(random, num_ranks, limits.max_samples);
    auto& sizes = drawn.sizes.emplace_back();
    auto& batch = drawn.batches.emplace_back();
    for (std::size_t f = 0; f < num_features; ++f) {
      sizes.push_back(random.chance(0.1) ? draw_sizes(random, num_ranks, limits.max_samples)
                                         : common);
      const std::int64_t samples =
          std::accumulate(sizes[f].begin(), sizes[f].end(), std::int64_t{0});
      batch.push_back(
          draw_bags(random, drawn, f, samples, limits.max_hotness, bad_chance, weighted[f]));
    }
    drawn.value_types.push_back(random.pick({dtype::f32, dtype::f32, dtype::f16, dtype::bf16}));
    const training_form form =
        random.pick({training_form::fused, training_form::sparse, training_form::dense});
    drawn.training.push_back(limits.gradient_forms ? form : training_form::fused);
  }
  return drawn;
}

std::ostream& operator<<(std::ostream& stream, const sharded_case& drawn) {
  stream << "seed " << drawn.seed << ", " << drawn.num_ranks << " ranks, plan "
         << to_json(drawn.plan) << '\n';
  for (const table_config& table : drawn.tables) {
    stream << table.name << ": " << table.num_embeddings << " x " << table.embedding_dim << ' '
           << to_string(table.type) << ' ' << to_string(table.optimizer.kind)
           << (table.scale_grad_by_freq ? " by frequency" : "") << (table.freeze ? " frozen" : "")
           << (table.max_norm ? " max_norm" : "") << " clipping "
           << static_cast<int>(table.optimizer.clipping) << '\n';
  }
  for (std::size_t f = 0; f < drawn.features.size(); ++f) {
    stream << drawn.features[f].name << ": " << drawn.features[f].table << ' '
           << to_string(drawn.features[f].mode) << '\n';
  }
  stream << "steps:";
  for (std::size_t step = 0; step < drawn.training.size(); ++step) {
    constexpr std::array names = {" fused", " sparse ", " dense "};
    stream << names[static_cast<std::size_t>(drawn.training[step])];
    if (drawn.training[step] != training_form::fused) stream << to_string(drawn.value_types[step]);
  }
  stream << '\n';
  return stream;
}

}  // namespace warpbag::support
