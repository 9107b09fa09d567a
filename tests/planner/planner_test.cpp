// SPDX-License-Identifier: Apache-2.0
// The planner: its plans against all plans, against a simple one, against memory; its bound; its
// speed.
#include "warpbag/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>

#include "planner/case_size.hpp"
#include "support/random_source.hpp"

namespace warpbag {
namespace {

using support::full_or_small;
using support::random_source;
using ::testing::HasSubstr;

struct planning_case {
  std::vector<table_config> tables = {};
  std::vector<table_statistics> statistics = {};
  std::int64_t batch = 1024;
  topology machine = {};

  void add(std::int64_t rows, std::int64_t dim, double hotness = 1.0, double alpha = 1.05) {
    tables.push_back({.name = "table" + std::to_string(tables.size()),
                      .num_embeddings = rows,
                      .embedding_dim = dim,
                      .optimizer = {.kind = optimizer_kind::rowwise_adagrad}});
    statistics.push_back({{{.hotness = hotness}}, id_distribution::power_law(rows, alpha)});
  }

  planning_result plan(const planner_options& options = {}) const {
    return plan_sharding(tables, statistics, batch, machine, options);
  }
  step_prediction predict(const sharding_plan& plan) const {
    return predict_step(plan, tables, statistics, batch, machine);
  }
};

planning_case random_case(random_source& random, int num_tables, int num_ranks,
                          int ranks_per_node) {
  planning_case drawn;
  drawn.machine.num_ranks = num_ranks;
  drawn.machine.ranks_per_node = ranks_per_node;
  drawn.batch = 256 << random.below(6);
  for (int i = 0; i < num_tables; ++i) {
    drawn.add(static_cast<std::int64_t>(std::pow(10.0, 1.0 + 6.5 * random.unit())),
              4 * (1 + random.below(48)), random.pick({1.0, 1.0, 3.5, 20.0}),
              random.pick({0.0, 0.8, 1.05, 1.2}));
    drawn.tables.back().type = random.pick({dtype::f32, dtype::f16});
    drawn.tables.back().freeze = random.chance(0.1);
  }
  return drawn;
}

double table_bytes(const table_config& table) {
  return static_cast<double>(table.num_embeddings) * static_cast<double>(table.embedding_dim) *
         static_cast<double>(size_of(table.type));
}

/// What many do by hand: whole tables, the largest first, each onto the rank that holds least.
sharding_plan plan_by_size(const planning_case& from) {
  std::vector<std::size_t> order(from.tables.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return table_bytes(from.tables[a]) > table_bytes(from.tables[b]);
  });
  std::vector<double> held(static_cast<std::size_t>(from.machine.num_ranks));
  sharding_plan plan = {from.machine.num_ranks, {}};
  for (const std::size_t table : order) {
    const auto least = std::min_element(held.begin(), held.end());
    *least += table_bytes(from.tables[table]);
    plan.tables.push_back(
        table_wise(from.tables[table].name, static_cast<int>(least - held.begin())));
  }
  return plan;
}

TEST(Planner, is_never_worse_than_by_size_and_keeps_its_bound) {
  random_source random(41);
  double sum_of_ratios = 0.0;
  constexpr int cases = full_or_small(50, 6);
  for (int i = 0; i < cases; ++i) {
    const int ranks = random.pick({2, 4, 6, 8, 16, 24, 64});
    const int per_node = ranks % 8 == 0 ? random.pick({0, 8}) : 0;
    const planning_case drawn =
        random_case(random, static_cast<int>(1 + random.below(40)), ranks, per_node);
    SCOPED_TRACE(::testing::Message() << "case " << i << ", ranks " << ranks << " in nodes of "
                                      << per_node << ", tables " << drawn.tables.size());
    const planning_result result = drawn.plan();
    validate(result.plan, drawn.tables);
    const double by_size = drawn.predict(plan_by_size(drawn)).seconds;
    EXPECT_LE(result.prediction.seconds, by_size * (1 + 1e-9));
    EXPECT_LE(result.lower_bound, result.prediction.seconds);
    EXPECT_LE(result.lower_bound, by_size);
    // The plan costs what it was said to cost.
    EXPECT_NEAR(drawn.predict(result.plan).seconds, result.prediction.seconds,
                1e-9 * result.prediction.seconds);
    sum_of_ratios += by_size / result.prediction.seconds;
  }
  std::printf("by size: steps %.2f times as long on average\n", sum_of_ratios / cases);
  EXPECT_GT(sum_of_ratios / cases, 1.2);
}

/// The least seconds of all plans that are whole tables and even splits of rows and columns.
double least_of_all_plans(const planning_case& from, sharding_plan& plan, std::size_t table) {
  if (table == from.tables.size()) return from.predict(plan).seconds;
  const std::string& name = from.tables[table].name;
  std::vector<table_plan> choices = {row_wise(name, 3), data_parallel(name)};
  for (int rank = 0; rank < 3; ++rank) {
    choices.push_back(table_wise(name, rank));
    choices.push_back(column_wise(name, {rank == 0 ? 1 : 0, rank == 2 ? 1 : 2}));
  }
  double least = 1e300;
  for (const table_plan& choice : choices) {
    plan.tables.push_back(choice);
    least = std::min(least, least_of_all_plans(from, plan, table + 1));
    plan.tables.pop_back();
  }
  return least;
}

TEST(Planner, finds_the_best_of_all_plans_of_small_cases) {
  random_source random(42);
  for (int i = 0; i < full_or_small(12, 3); ++i) {
    planning_case drawn = random_case(random, 3, 3, 0);
    // Few rows: splits of rows are uneven, so that the choice matters.
    for (std::size_t t = 0; t < 3; ++t) {
      const std::int64_t rows = 1 + random.below(8);
      drawn.tables[t].num_embeddings = rows;
      drawn.tables[t].embedding_dim += 4;  // at least two pieces of columns
      drawn.statistics[t].ids = id_distribution::power_law(rows, 0.5);
    }
    sharding_plan plan = {3, {}};
    const double least = least_of_all_plans(drawn, plan, 0);
    const planning_result result = drawn.plan();
    EXPECT_LE(result.prediction.seconds, least * (1 + 1e-9)) << i;
    EXPECT_LE(result.lower_bound, least * (1 + 1e-9)) << i;
  }
}

TEST(Planner, proves_more_by_searching_to_the_end) {
  random_source random(43);
  int proved_more = 0;
  for (int i = 0; i < 10; ++i) {
    planning_case drawn = random_case(random, 4, 4, 0);
    for (std::size_t t = 0; t < 4; ++t) {
      const std::int64_t rows = 1 + random.below(6);
      drawn.tables[t].num_embeddings = rows;
      drawn.statistics[t].ids = id_distribution::power_law(rows, 0.5);
    }
    const planning_result searched = drawn.plan();
    const planning_result greedy = drawn.plan({.max_search_nodes = 0});
    EXPECT_LE(searched.prediction.seconds, greedy.prediction.seconds * (1 + 1e-9));
    EXPECT_GE(searched.lower_bound, greedy.lower_bound * (1 - 1e-9));
    if (searched.gap < greedy.gap - 1e-9) ++proved_more;
  }
  EXPECT_GT(proved_more, 0);
}

TEST(Planner, splits_what_is_large_and_keeps_frozen_rows_everywhere) {
  planning_case here;
  here.machine.num_ranks = 8;
  here.add(10'000'000, 64);
  here.add(1'000, 64);
  here.tables[1].freeze = true;
  const planning_result result = here.plan();
  EXPECT_EQ(result.plan.tables[0].kind, sharding_kind::row_wise);
  EXPECT_EQ(result.plan.tables[1].kind, sharding_kind::data_parallel);
  EXPECT_EQ(result.prediction.tables[1].bytes.forward, 0.0);
  EXPECT_LT(result.gap, 0.01);
  for (const table_prediction& table : result.prediction.tables) {
    EXPECT_NE(table.why, "");
    EXPECT_GE(table.alternatives.size(), 5U);
    for (const table_alternative& other : table.alternatives) {
      EXPECT_TRUE(!other.fits || other.seconds >= result.prediction.seconds * (1 - 1e-9));
    }
  }
}

TEST(Planner, adds_partial_bags_only_where_that_is_allowed) {
  planning_case here;
  here.machine.num_ranks = 2;
  here.add(10'000'000, 64, 200.0, 0.0);
  EXPECT_EQ(here.plan().plan.tables[0].exchange, row_exchange::rows);
  const planning_result inexact = here.plan({.allow_inexact = true});
  EXPECT_EQ(inexact.plan.tables[0].exchange, row_exchange::partial_bags);
  EXPECT_LT(inexact.prediction.seconds, here.plan().prediction.seconds);
  here.statistics[0].features[0].mode = pooling_mode::max;
  EXPECT_EQ(here.plan({.allow_inexact = true}).plan.tables[0].exchange, row_exchange::rows);
}

TEST(Planner, fills_memory_but_no_more) {
  planning_case here;
  here.machine.num_ranks = 4;
  for (int i = 0; i < 6; ++i) here.add(100'000, 64);
  here.tables[0].freeze = true;
  // Row-wise adagrad: 64 floats and one. The frozen table has the floats alone.
  const std::int64_t bytes = 5 * 100'000 * 260 + 100'000 * 256;
  constexpr std::int64_t nodes = full_or_small(200'000, 2'000);
  for (const std::int64_t spare : {bytes, bytes / 20, bytes / 1000}) {
    here.machine.memory_bytes = bytes / 4 + spare;
    const planning_result result = here.plan({.max_search_nodes = nodes});
    std::int64_t used = 0;
    for (const rank_prediction& rank : result.prediction.ranks) {
      EXPECT_LE(rank.memory_bytes, here.machine.memory_bytes);
      used += rank.memory_bytes;
    }
    EXPECT_GE(used, bytes);
  }
}

TEST(Planner, says_what_does_not_fit) {
  planning_case here;
  here.machine.num_ranks = 4;
  here.machine.memory_bytes = 1'000'000;
  here.add(1'000, 16);
  here.add(100'000, 16);  // 4 * 16 + 4 bytes a row
  try {
    static_cast<void>(here.plan());
    ADD_FAILURE();
  } catch (const capacity_error& problem) {
    EXPECT_EQ(problem.table(), "table1");
    EXPECT_THAT(problem.what(), HasSubstr("'table1'"));
    EXPECT_THAT(problem.what(), HasSubstr("6800000 bytes"));
    EXPECT_THAT(problem.what(), HasSubstr("1700000 on each of 4 ranks"));
    EXPECT_THAT(problem.what(), HasSubstr("1000000 of 1000000 free"));
    EXPECT_THAT(problem.what(), HasSubstr("All tables need 6868000 bytes"));
  }
}

TEST(Planner, refuses_what_does_not_fit_together) {
  planning_case good;
  good.machine = {.num_ranks = 4, .ranks_per_node = 2};
  good.add(100, 8);
  const auto refuses = [](planning_case bad) {
    EXPECT_THROW(static_cast<void>(bad.plan()), invalid_argument);
  };
  EXPECT_NO_THROW(static_cast<void>(good.plan()));
  planning_case bad = good;
  bad.statistics.clear();
  refuses(bad);
  bad = good;
  bad.statistics[0].ids = id_distribution::power_law(99, 1.0);
  refuses(bad);
  bad = good;
  bad.statistics[0].features[0].hotness = -1.0;
  refuses(bad);
  bad = good;
  bad.tables.push_back(bad.tables[0]);
  bad.statistics.push_back(bad.statistics[0]);
  refuses(bad);
  bad = good;
  bad.batch = -1;
  refuses(bad);
  for (const auto change : {+[](topology& machine) { machine.num_ranks = 0; },
                            +[](topology& machine) { machine.ranks_per_node = 3; },
                            +[](topology& machine) { machine.memory_bytes = 0; },
                            +[](topology& machine) { machine.memory_bandwidth = 0.0; },
                            +[](topology& machine) { machine.intra_node.bandwidth = -1.0; },
                            +[](topology& machine) { machine.inter_node.latency = -1.0; }}) {
    bad = good;
    change(bad.machine);
    refuses(bad);
  }
  EXPECT_THROW(static_cast<void>(good.predict({2, {table_wise("table0", 0)}})), invalid_argument);
}

TEST(Planner, is_deterministic_and_works_on_one_rank_and_without_tables) {
  random_source random(44);
  const planning_case drawn = random_case(random, 30, 16, 8);
  EXPECT_EQ(drawn.plan().plan, drawn.plan().plan);
  EXPECT_EQ(random_case(random, 3, 1, 0).plan().prediction.bytes.forward, 0.0);
  EXPECT_TRUE(planning_case().plan().plan.tables.empty());
}

TEST(Planner, balances_ranks_that_sum_no_slices) {
  // Of 256 ranks 64 make all partial sums: rows go where there is less to do.
  planning_case here;
  here.machine.num_ranks = 256;
  here.machine.intra_node.latency = 0.0;
  for (int i = 0; i < 10; ++i) here.add(1'000'000, 64);
  sharding_plan everywhere = {256, {}};
  for (const table_config& table : here.tables) {
    everywhere.tables.push_back(row_wise(table.name, 256));
  }
  const planning_result result = here.plan();
  std::printf("gap %.4f %%\n", 100 * result.gap);
  EXPECT_LT(result.prediction.seconds, 0.95 * here.predict(everywhere).seconds);
}

TEST(Planner, plans_1000_tables_on_256_ranks_in_a_second) {
  random_source random(45);
  constexpr int tables = full_or_small(1000, 40);
  const planning_case drawn = random_case(random, tables, full_or_small(256, 32), 8);
  const std::clock_t start = std::clock();
  const planning_result result = drawn.plan();
  const double taken = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("%.3f s of one core; gap %.4f %%\n", taken, 100 * result.gap);
  EXPECT_EQ(result.plan.tables.size(), std::size_t{tables});
#ifdef NDEBUG
  EXPECT_LT(taken, 2.0);  // a second where nothing else runs, and room for slower machines
#endif
}

}  // namespace
}  // namespace warpbag
