// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "support/configuration.hpp"
#include "support/draw_optimizer.hpp"
#include "support/random_source.hpp"

namespace warpbag::support {

namespace {

using operations::gradient_form;

table_configuration random_table(random_source& random, const drawing_limits& limits) {
  table_configuration table;
  table.dim = random.pick({1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 64, 100, 128, 129, 257, 1024});
  const std::int64_t most = std::max<std::int64_t>(2, limits.max_elements / table.dim / 2);
  table.num_rows = random.chance(0.1) ? 1 : log_uniform(random, most);
  table.row_gap = random.pick<std::int64_t>({0, 0, 0, 1, 4, 8});
  table.row_lead = random.pick<std::int64_t>({0, 0, 0, 1, 2});
  table.row_type = random.pick({dtype::f32, dtype::f16, dtype::bf16});
  if (random.chance(0.4)) table.padding_idx = random.below(table.num_rows);
  table.scale_grad_by_freq = random.chance(0.3);
  table.renormalize = random.chance(0.3);
  if (table.renormalize) {
    table.max_norm = random.pick({0.25F, 1.0F, 3.0F});
    table.norm_type = random.pick({0.5F, 1.0F, 2.0F, 3.0F, std::numeric_limits<float>::infinity()});
  }
  table.form = random.pick({gradient_form::fused, gradient_form::fused, gradient_form::fused,
                            gradient_form::sparse, gradient_form::dense, gradient_form::none});
  if (table.form == gradient_form::sparse || table.form == gradient_form::dense) {
    table.value_type = random.pick({dtype::f32, dtype::f32, dtype::f16, dtype::bf16});
  }
  table.apply_sparse = table.form == gradient_form::sparse && random.chance(0.7);
  table.steps_done = random.pick<std::uint64_t>({0, 0, 9});
  table.optimizer = draw_optimizer(random, table.row_type);
  return table;
}

feature_configuration random_feature(random_source& random, const configuration& c,
                                     const drawing_limits& limits, std::int64_t batch) {
  feature_configuration feature;
  feature.table =
      static_cast<std::int32_t>(random.below(static_cast<std::int64_t>(c.tables.size())));
  const std::int32_t dim = c.tables[static_cast<std::size_t>(feature.table)].dim;
  const std::int64_t most =
      std::max<std::int64_t>(4, std::min(limits.max_lookups, limits.max_elements / dim));
  feature.mode = random.pick({pooling_mode::sum, pooling_mode::sum, pooling_mode::mean,
                              pooling_mode::mean, pooling_mode::max, pooling_mode::none});
  feature.layout =
      random.pick({bag_layout::fixed, bag_layout::offsets, bag_layout::offsets_with_last});
  const bool may_weigh = feature.mode == pooling_mode::sum || feature.mode == pooling_mode::mean;
  feature.weighted = may_weigh && random.chance(0.5);
  feature.wants_weight_gradient = feature.weighted && random.chance(0.7);
  feature.num_bags = std::min(random.chance(0.1) ? random.below(80) : batch, most);
  feature.ids = random.pick({id_choice::uniform, id_choice::skewed, id_choice::equal});
  feature.bags = random.pick({bag_choice::even, bag_choice::even, bag_choice::mostly_empty,
                              bag_choice::one_takes_most, bag_choice::empty});
  feature.num_lookups = random.chance(0.1) ? most : log_uniform(random, most);
  if (feature.layout == bag_layout::fixed) {
    const std::int64_t hotness = feature.num_bags == 0 ? 0 : feature.num_lookups / feature.num_bags;
    feature.num_lookups = feature.num_bags * hotness;
  }
  if (feature.num_bags == 0) feature.num_lookups = 0;
  if (feature.layout == bag_layout::offsets_with_last && random.chance(0.5)) {
    feature.unused_ids = 1 + random.below(20);
  }
  feature.output_gap = random.pick<std::int64_t>({0, 0, 1, 4});
  feature.gradient_gap = random.pick<std::int64_t>({0, 0, 1, 4});
  feature.batch = feature.num_bags;
  if (random.chance(0.15)) {  // as one rank of several sees it
    feature.first_sample = random.below(100);
    feature.batch += feature.first_sample + random.below(100);
  }
  return feature;
}

}  // namespace

configuration random_configuration(std::uint64_t seed, const drawing_limits& limits) {
  random_source random(seed);
  configuration c;
  c.seed = seed;
  c.ids_type = random.pick({index_type::i32, index_type::i64});
  c.output_type = random.pick({dtype::f32, dtype::f32, dtype::f16, dtype::bf16});
  c.gradient_type = random.pick({dtype::f32, dtype::f32, dtype::f16, dtype::bf16});
  c.policy = random.pick({bad_id_policy::error, bad_id_policy::skip, bad_id_policy::zero});
  if (c.policy != bad_id_policy::error) c.bad_id_chance = random.pick({0.0, 0.05, 0.5});
  c.values = random.pick({value_choice::ordinary, value_choice::ordinary, value_choice::ordinary,
                          value_choice::verifiable, value_choice::special});
  const std::int64_t num_tables = 1 + random.below(5);
  for (std::int64_t t = 0; t < num_tables; ++t) c.tables.push_back(random_table(random, limits));
  const std::int64_t batch = random.pick<std::int64_t>({0, 1, 7, 63, 64, 65, 65, 200, 1000});
  const std::int64_t num_features = 1 + random.below(num_tables + 2);
  for (std::int64_t f = 0; f < num_features; ++f) {
    c.features.push_back(random_feature(random, c, limits, batch));
  }
  return c;
}

}  // namespace warpbag::support
