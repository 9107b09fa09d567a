// SPDX-License-Identifier: Apache-2.0
// Rows that occur in a large part of a batch, which a GPU cuts into pieces, and the rows beside
// them: to the last bit what one CPU thread makes of them.

#include <gtest/gtest.h>

#include "operations/backend.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

support::problem_data trained(const support::configuration& configuration,
                              const support::backend_choice& choice) {
  const auto device = choice.make_device();
  const auto backend = device->make_backend();
  support::problem_data data = support::make_tables(configuration);
  for (std::int64_t step = 0; step < configuration.steps; ++step) {
    support::draw_batch(configuration, step, data);
    support::placed_problem placed(data, *device);
    support::run_step(*backend, placed.get());
    placed.fetch();
  }
  return data;
}

support::configuration one_table(std::int32_t dim, std::int64_t num_rows, std::int64_t num_bags,
                                 std::int64_t num_lookups) {
  support::configuration configuration;
  configuration.seed = 4711;
  configuration.steps = 2;
  support::table_configuration table;
  table.num_rows = num_rows;
  table.dim = dim;
  table.optimizer.kind = optimizer_kind::rowwise_adagrad;
  configuration.tables = {table};
  support::feature_configuration feature;
  feature.mode = pooling_mode::sum;
  feature.layout = support::bag_layout::offsets;
  feature.num_bags = num_bags;
  feature.num_lookups = num_lookups;
  feature.batch = num_bags;
  configuration.features = {feature};
  return configuration;
}

class HotRows : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void expect_same_bits(const support::configuration& configuration) {
    SCOPED_TRACE(::testing::PrintToString(configuration));
    support::problem_data expected = trained(configuration, support::cpu_backend(1));
    support::problem_data actual = trained(configuration, GetParam());
    EXPECT_EQ(support::difference(expected, actual), "");
  }
};

TEST_P(HotRows, one_row_has_every_lookup) {
  for (const std::int64_t lookups : {256, 257, 320, 1000, 5000, 20000}) {
    auto configuration = one_table(8, 5, lookups, lookups);
    configuration.features[0].ids = support::id_choice::equal;
    expect_same_bits(configuration);
  }
}

TEST_P(HotRows, one_bag_has_every_lookup_of_one_row) {  // one leaf, many levels of blocks
  for (const std::int64_t lookups : {257, 321, 4097, 30000}) {
    auto configuration = one_table(4, 3, 1, lookups);
    configuration.features[0].ids = support::id_choice::equal;
    configuration.features[0].mode = pooling_mode::mean;
    expect_same_bits(configuration);
  }
}

TEST_P(HotRows, bags_of_all_sizes_share_few_rows) {
  for (const std::int32_t dim : {1, 3, 20, 64, 130, 1100}) {
    for (const auto mode : {pooling_mode::sum, pooling_mode::max, pooling_mode::none}) {
      auto configuration = one_table(dim, 6, 90, dim > 1000 ? 2000 : 4000);
      configuration.features[0].bags = support::bag_choice::one_takes_most;
      configuration.features[0].mode = mode;
      if (dim == 20) configuration.gradient_type = dtype::f16;
      if (dim == 64) configuration.gradient_type = dtype::bf16;
      expect_same_bits(configuration);
    }
  }
}

// A GPU's warp takes these together, many or few of them, whether they have one lookup or 64.
TEST_P(HotRows, runs_of_very_unequal_lengths_lie_side_by_side) {
  for (const std::int32_t dim : {1, 3, 4, 8, 16, 17, 32, 33, 64}) {
    auto configuration = one_table(dim, 400, 300, 2500);
    if (dim % 8 == 0) configuration.values = support::value_choice::special;  // zeros of both signs
    if (dim < 16) configuration.tables[0].form = operations::gradient_form::sparse;
    auto& feature = configuration.features[0];
    feature.ids = support::id_choice::skewed;
    feature.weighted = dim % 4 == 0;
    if (dim == 16) feature.mode = pooling_mode::mean;
    auto other = feature;
    if (dim % 2 == 1) other.mode = pooling_mode::max;
    configuration.features.push_back(other);
    expect_same_bits(configuration);
  }
}

TEST_P(HotRows, many_rows_of_few_lookups_lie_side_by_side) {
  for (const std::int32_t dim : {1, 20}) {
    auto configuration = one_table(dim, 150000, 20000, 60000);
    configuration.features[0].mode = pooling_mode::none;
    configuration.steps = 1;
    expect_same_bits(configuration);
  }
}

// A GPU's warp takes as many of these together as there are, at most eight of 129 columns, one of
// 2048, and none of 2049.
TEST_P(HotRows, wide_rows_lie_side_by_side) {
  for (const std::int32_t dim : {129, 256, 382, 520, 2048, 2049}) {
    const std::int64_t lookups = dim == 129 ? 14000 : (dim < 2048 ? 4000 : 1700);
    auto configuration = one_table(dim, lookups, lookups, lookups);
    configuration.steps = 1;
    configuration.tables[0].row_type = dim % 8 == 0 ? dtype::f16 : dtype::f32;
    auto feature = configuration.features[0];
    feature.ids = support::id_choice::skewed;  // long runs lie among the others
    feature.num_bags = feature.batch = feature.num_lookups = 500;
    configuration.features.push_back(feature);
    expect_same_bits(configuration);
  }
}

// Those that treat every element alone have rows updated two at a time, odd ones out and long runs
// among them.
TEST_P(HotRows, rows_of_every_optimizer_lie_side_by_side) {
  using enum optimizer_kind;
  for (const auto kind : {sgd, adagrad, adam, adamw, partial_rowwise_adam, lamb, ftrl}) {
    for (const std::int32_t dim : {4, 32, 48, 260, 2052}) {
      if (dim == 2052 && kind != adam) continue;  // sums in global memory
      auto configuration = one_table(dim, 90, 150, dim == 2052 ? 200 : 700);
      auto& table = configuration.tables[0];
      table.optimizer.kind = kind;
      table.optimizer.momentum = dim % 8 == 0 ? 0.9F : 0.0F;
      if (dim == 48) {
        table.optimizer.decay_mode = weight_decay_mode::decoupled;
        table.optimizer.weight_decay = 0.1F;
      }
      table.row_type = dim == 32 ? dtype::f16 : (dim == 260 ? dtype::bf16 : dtype::f32);
      configuration.features[0].ids = support::id_choice::skewed;
      expect_same_bits(configuration);
    }
  }
}

// What is done to sums before the optimizer and to weights after it, in every way in which rows are
// updated: one by one, several of up to 32 columns, of up to 128, of more.
TEST_P(HotRows, finished_and_rounded_rows_lie_side_by_side) {
  using enum clipping_kind;
  for (const auto kind : {optimizer_kind::rowwise_adagrad, optimizer_kind::adagrad}) {
    for (const std::int32_t dim : {3, 20, 33, 64, 128, 260, 390}) {
      for (const auto clipping : {none, value, norm}) {
        auto configuration = one_table(dim, 300, 150, 900);
        auto& table = configuration.tables[0];
        table.optimizer.kind = kind;
        table.optimizer.clipping = clipping;
        table.optimizer.clipping_limit = clipping == none ? 0.0F : 0.5F;
        table.scale_grad_by_freq = clipping != value;
        table.optimizer.stochastic_rounding = dim != 64;
        table.row_type = dim % 2 == 0 ? dtype::f16 : dtype::bf16;
        configuration.features[0].ids = support::id_choice::skewed;
        expect_same_bits(configuration);
      }
    }
  }
}

TEST_P(HotRows, features_share_a_table) {
  auto configuration = one_table(12, 7, 300, 3000);
  auto feature = configuration.features[0];
  for (const std::int64_t lookups : {100, 0, 900, 5000}) {
    feature.num_lookups = lookups;
    feature.ids = lookups == 900 ? support::id_choice::equal : support::id_choice::uniform;
    configuration.features.push_back(feature);
  }
  auto other = configuration.tables[0];
  other.dim = 33;
  other.optimizer.kind = optimizer_kind::lamb;
  other.form = operations::gradient_form::dense;
  configuration.tables.push_back(other);
  feature.table = 1;
  configuration.features.push_back(feature);
  expect_same_bits(configuration);
}

WARPBAG_FOR_EVERY_BACKEND(HotRows);

}  // namespace
}  // namespace warpbag
