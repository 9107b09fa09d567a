// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "bench/batch.hpp"
#include "bench/measured_step.hpp"
#include "warpbag/error.hpp"

namespace warpbag::bench {
namespace {

workload small() {
  return {.name = "small", .tables = {{50, 4, 3}, {7, 8, 2}}, .batch = 40, .weighted = true};
}

TEST(Workload, names_stand_for_what_they_are_known_for) {
  for (const std::string_view name : workload_names()) EXPECT_FALSE(named_workloads(name).empty());
  EXPECT_EQ(named_workloads("cuembed-sweep").size(), 108U);
  const workload dlrm = named_workloads("dlrm-v2").front();
  EXPECT_EQ(dlrm.tables.size(), 26U);
  std::int64_t rows = 0;
  std::int64_t hotness = 0;
  for (const workload_table& table : dlrm.tables) {
    rows += table.rows;
    hotness += table.hotness;
  }
  EXPECT_EQ(rows, 204'184'588);
  EXPECT_EQ(hotness, 214);
}

TEST(Workload, a_point_of_a_sweep_has_a_name) {
  const std::vector<workload> sweep = named_workloads("cuembed-sweep");
  EXPECT_EQ(sweep[17].name, "cuembed-sweep[17]");
  const std::vector<workload> point = named_workloads("cuembed-sweep[17]");
  ASSERT_EQ(point.size(), 1U);
  EXPECT_EQ(point[0].tables[0].hotness, sweep[17].tables[0].hotness);
  for (const char* const name : {"", "no-such", "cuembed-sweep[108]", "fbgemm-default[0]"}) {
    EXPECT_THROW(named_workloads(name), invalid_argument) << name;
  }
}

TEST(Workload, rows_are_cut_to_fit_and_small_tables_stay) {
  workload large = small();
  large.tables = {{3'000'000, 4, 1}, {1'000'000, 4, 1}, {900, 4, 1}};
  EXPECT_DOUBLE_EQ(table_bytes(large), 4'000'900.0 * (16 + 4));
  const workload cut = fitted(large, table_bytes(large) / 100);
  EXPECT_EQ(cut.tables[0].rows, 30'000);
  EXPECT_EQ(cut.tables[1].rows, 10'000);
  EXPECT_EQ(cut.tables[2].rows, 900);
  EXPECT_EQ(fitted(large, 1e12).tables[0].rows, 3'000'000);
  EXPECT_EQ(scaled(large, 1e-9).tables[0].rows, 1000);
  EXPECT_THROW(scaled(large, 0.0), invalid_argument);
}

TEST(Batch, bags_have_the_mean_that_was_asked_for) {
  workload jagged = small();
  jagged.batch = 20'000;
  jagged.shape = bag_shape::jagged;
  const drawn_feature drawn = draw_batch(jagged).features[0];
  ASSERT_EQ(drawn.offsets.size(), 20'001U);
  // Sizes 0 ... 6 have variance 4: of the sum 80,000, its deviation 283.
  EXPECT_NEAR(static_cast<double>(drawn.ids.size()), 60'000, 5 * 283);
  jagged.shape = bag_shape::one_long;
  const drawn_feature one = draw_batch(jagged).features[0];
  EXPECT_EQ(one.ids.size(), 60'000U);
  EXPECT_EQ(one.offsets[10'001] - one.offsets[10'000], 50'000);
  EXPECT_EQ(one.offsets[2] - one.offsets[1], 1);
}

TEST(Batch, statistics_count_rows_and_leave_out_what_trains_none) {
  workload counted = small();
  counted.tables = {{3, 4, 10}};
  drawn_batch batch = draw_batch(counted);
  batch.features[0].ids = {2, 1, 2, 2, 0, 3};  // 3 is out of range
  batch_statistics found = count(counted, batch);
  EXPECT_EQ(found.lookups, 6);
  EXPECT_EQ(found.distinct_rows, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(found.hottest, 3);
  counted.all_padding = true;  // row 0
  found = count(counted, batch);
  EXPECT_EQ(found.distinct_rows, (std::vector<std::int64_t>{2}));
}

TEST(MeasuredStep, runs_every_call_of_every_kind_of_workload) {
  std::vector<workload> kinds(9, small());
  kinds[1].shape = bag_shape::jagged;
  kinds[2].type = dtype::f16;
  kinds[2].ids = index_type::i32;
  kinds[3].pooling = pooling_mode::none;
  kinds[3].weighted = false;
  kinds[4].bad_share = 0.2;
  kinds[5].all_padding = true;
  kinds[6].optimizer.kind = optimizer_kind::adam;
  kinds[7].shape = bag_shape::one_long;
  kinds[8].scale_grad_by_freq = true;
  kinds[8].optimizer.momentum = 0.9F;
  for (const workload& kind : kinds) {
    measured_step step(kind, {.num_threads = 1});
    for (int call = 0; call <= static_cast<int>(measured_call::train_step); ++call) {
      const auto measured = static_cast<measured_call>(call);
      step.prepare(measured);
      step.run(measured);
      EXPECT_GT(step.bytes(measured).floor, 0.0);
      EXPECT_GE(step.bytes(measured).logical, step.bytes(measured).floor * 0.1);
    }
    EXPECT_NO_THROW(step.check());
  }
}

TEST(MeasuredStep, a_train_step_moves_what_its_parts_move) {
  const measured_step step(small(), {.num_threads = 1});
  EXPECT_EQ(step.bytes(measured_call::train_step),
            step.bytes(measured_call::forward) + step.bytes(measured_call::backward_fused));
  EXPECT_EQ(step.statistics().lookups, 40 * 5);
}

}  // namespace
}  // namespace warpbag::bench
