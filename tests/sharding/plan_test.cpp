// SPDX-License-Identifier: Apache-2.0
// Sharding plans as data: what validate refuses, and JSON both ways.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "warpbag/error.hpp"
#include "warpbag/sharding_plan.hpp"

namespace warpbag {
namespace {

using ::testing::HasSubstr;

constexpr int num_ranks = 8;

std::vector<table_config> two_tables() {
  return {{.name = "user", .num_embeddings = 100, .embedding_dim = 30},
          {.name = "item", .num_embeddings = 50, .embedding_dim = 4}};
}

sharding_plan plan_of(table_plan user, table_plan item = table_wise("item", 7)) {
  return {num_ranks, {std::move(user), std::move(item)}};
}

/// What validate says to the plan; empty where it is content.
std::string refusal_of(const sharding_plan& plan) {
  try {
    validate(plan, two_tables());
    return {};
  } catch (const invalid_argument& problem) {
    return problem.what();
  }
}

TEST(ShardingPlan, made_by_hand_is_valid) {
  table_plan replicas = row_wise("user", num_ranks);
  replicas.replicated_rows = {0, 5, 99};
  table_plan partial = row_wise("user", 2);
  partial.exchange = row_exchange::partial_bags;
  const std::vector<table_plan> plans = {table_wise("user", 3),
                                         row_wise("user", 5),
                                         column_wise("user", {7, 0, 7}),
                                         data_parallel("user"),
                                         table_row_wise("user", 4, 4),
                                         grid("user", {1, 0}, 4),
                                         replicas,
                                         partial};
  for (const table_plan& plan : plans)
    EXPECT_EQ(refusal_of(plan_of(plan)), "") << to_string(plan.kind);
}

TEST(ShardingPlan, kinds_are_cuts_into_columns_and_rows) {
  EXPECT_EQ(row_wise("t", 3).ranks, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(table_row_wise("t", 4, 2).ranks, (std::vector<int>{4, 5}));
  EXPECT_EQ(column_wise("t", {3, 1}).column_pieces, 2);
  const table_plan two_nodes = grid("t", {2, 0}, 3);
  EXPECT_EQ(two_nodes.ranks, (std::vector<int>{6, 7, 8, 0, 1, 2}));
  EXPECT_EQ(two_nodes.column_pieces, 2);
}

TEST(ShardingPlan, columns_are_cut_at_multiples_of_4_as_evenly_as_that_goes) {
  // 30 columns are 8 quads, the last one of 2 columns.
  const std::vector<std::int64_t> firsts = {0, 8, 20, 30};
  for (int piece = 0; piece <= 3; ++piece) {
    EXPECT_EQ(first_column_of(30, 3, piece), firsts[static_cast<std::size_t>(piece)]);
  }
}

TEST(ShardingPlan, refuses_tables_that_are_missing_unknown_or_there_twice) {
  EXPECT_THAT(refusal_of({num_ranks, {table_wise("user", 0)}}), HasSubstr("'item'"));
  EXPECT_THAT(refusal_of(plan_of(table_wise("item", 0))), HasSubstr("'item'"));
  EXPECT_THAT(refusal_of(plan_of(table_wise("users", 0))), HasSubstr("'users'"));
}

TEST(ShardingPlan, refuses_what_no_collection_can_follow) {
  const auto changed = [](table_plan plan, auto&& change) {
    change(plan);
    return plan;
  };
  struct bad_plan {
    table_plan plan;
    const char* says;
  };
  const table_plan rows = row_wise("user", num_ranks);
  const std::vector<bad_plan> plans = {
      {table_wise("user", 8), "rank 8"},
      {table_wise("user", -1), "rank -1"},
      {row_wise("user", 9), "rank 8"},
      {row_wise("user", 0), "no ranks"},
      {column_wise("user", {}), "column_pieces is 0"},
      {column_wise("user", std::vector<int>(9, 0)), "column_pieces is 9"},
      {grid("user", {0, 2}, 4), "rank 8"},
      {changed(rows, [](auto& plan) { plan.ranks[3] = 5; }), "rank 5 is twice"},
      {changed(rows, [](auto& plan) { plan.column_pieces = 2; }), "1 column piece"},
      {changed(rows, [](auto& plan) { plan.column_pieces = 3; }), "evenly"},
      {changed(rows, [](auto& plan) { plan.kind = sharding_kind::table_wise; }), "1 rank"},
      {changed(rows, [](auto& plan) { plan.kind = sharding_kind::data_parallel; }), "every rank"},
      {changed(grid("user", {0, 1}, 4), [](auto& plan) { plan.kind = sharding_kind::column_wise; }),
       "1 rank"},
      {changed(rows, [](auto& plan) { plan.kind = static_cast<sharding_kind>(6); }), "kind 6"},
      {changed(rows, [](auto& plan) { plan.exchange = static_cast<row_exchange>(2); }),
       "exchange 2"},
      {changed(rows,
               [](auto& plan) {
                 plan.replicated_rows = {4, 4};
               }),
       "ascend"},
      {changed(rows,
               [](auto& plan) {
                 plan.replicated_rows = {4, 3};
               }),
       "ascend"},
      {changed(rows, [](auto& plan) { plan.replicated_rows = {-1}; }), "row -1"},
      {changed(rows, [](auto& plan) { plan.replicated_rows = {100}; }), "row 100"},
      {changed(data_parallel("user"), [](auto& plan) { plan.replicated_rows = {1}; }),
       "all replicas"},
      {changed(table_wise("user", 0),
               [](auto& plan) { plan.exchange = row_exchange::partial_bags; }),
       "not table_wise"},
      {changed(data_parallel("user"),
               [](auto& plan) { plan.exchange = row_exchange::partial_bags; }),
       "not data_parallel"},
      {changed(grid("user", {1, 0}, 4),
               [](auto& plan) { plan.exchange = row_exchange::partial_bags; }),
       "not grid"},
      {changed(rows,
               [](auto& plan) {
                 plan.exchange = row_exchange::partial_bags;
                 plan.replicated_rows = {3};
               }),
       "no use for replicated_rows"},
  };
  for (const bad_plan& bad : plans) {
    EXPECT_THAT(refusal_of(plan_of(bad.plan)), HasSubstr(bad.says)) << to_string(bad.plan.kind);
    EXPECT_THAT(refusal_of(plan_of(bad.plan)), HasSubstr("'user'"));
  }
  EXPECT_THAT(refusal_of({0, {}}), HasSubstr("num_ranks is 0"));
  EXPECT_THAT(refusal_of({65537, {}}), HasSubstr("num_ranks is 65537"));
}

TEST(ShardingPlan, refuses_tables_beyond_what_routing_can_number) {
  std::vector<table_config> tables = two_tables();
  tables[0].num_embeddings = (std::int64_t{1} << 46) + 1;
  EXPECT_THROW(validate(plan_of(row_wise("user", 2)), tables), invalid_argument);
  --tables[0].num_embeddings;
  EXPECT_NO_THROW(validate(plan_of(row_wise("user", 2)), tables));
}

TEST(ShardingPlan, comes_back_from_json) {
  table_plan user = grid("user \"quoted\" \n", {1, 0}, 4);
  user.replicated_rows = {0, std::int64_t{1} << 45};
  user.exchange = row_exchange::partial_bags;
  for (const sharding_plan& plan :
       {plan_of(user), plan_of(data_parallel("user")), sharding_plan{3, {}}}) {
    EXPECT_EQ(sharding_plan_from_json(to_json(plan)), plan) << to_json(plan);
  }
}

TEST(ShardingPlan, json_leaves_defaults_out) {
  EXPECT_EQ(to_json({2, {row_wise("a", 2), column_wise("b", {1, 0})}}),
            "{\"warpbag.plan\": 1, \"num_ranks\": 2, \"tables\": [\n"
            "  {\"table\":\"a\",\"kind\":\"row_wise\",\"ranks\":[0,1]},\n"
            "  {\"table\":\"b\",\"kind\":\"column_wise\",\"ranks\":[1,0],\"column_pieces\":2}\n"
            "]}\n");
}

TEST(ShardingPlan, json_that_is_not_a_plan_is_refused_with_its_place) {
  const auto with_table = [](const std::string& table) {
    return R"({"warpbag.plan": 1, "num_ranks": 2, "tables": [)" + table + "]}";
  };
  struct bad_json {
    std::string text;
    const char* says;
  };
  const std::vector<bad_json> texts = {
      {"", "not JSON"},
      {"{\"num_ranks\": 2", "not JSON"},
      {"[]", "plan: not an object"},
      {R"({"num_ranks": 2, "tables": []})", "warpbag.plan"},
      {R"({"warpbag.plan": 2, "num_ranks": 2, "tables": []})", "plan.warpbag.plan: 2"},
      {R"({"warpbag.plan": 1, "tables": []})", "num_ranks"},
      {R"({"warpbag.plan": 1, "num_ranks": 0, "tables": []})", "plan.num_ranks: 0"},
      {R"({"warpbag.plan": 1, "num_ranks": 2.5, "tables": []})", "plan.num_ranks"},
      {R"({"warpbag.plan": 1, "num_ranks": 2, "tables": {}})", "plan.tables: not an array"},
      {R"({"warpbag.plan": 1, "num_ranks": 2, "tables": [], "nodes": 1})", "'nodes'"},
      {with_table("7"), "plan.tables[0]: not an object"},
      {with_table(R"({"table": "a", "kind": "row_wise"})"), "'ranks'"},
      {with_table(R"({"table": "a", "kind": "rowwise", "ranks": []})"), "'rowwise'"},
      {with_table(R"({"table": 1, "kind": "row_wise", "ranks": []})"), "tables[0].table"},
      {with_table(R"({"table": "a", "kind": "row_wise", "ranks": [0, -1]})"), "ranks[1]: -1"},
      {with_table(R"({"table": "a", "kind": "row_wise", "ranks": [4294967296]})"), "ranks[0]"},
      {with_table(R"({"table": "a", "kind": "row_wise", "ranks": [18446744073709551615]})"),
       "ranks[0]"},
      {with_table(R"({"table": "a", "kind": "row_wise", "ranks": [0], "column": 1})"), "'column'"},
      {with_table(R"({"table": "a", "kind": "row_wise", "ranks": [0], "exchange": "bags"})"),
       "'bags'"},
  };
  for (const bad_json& bad : texts) {
    try {
      static_cast<void>(sharding_plan_from_json(bad.text));
      ADD_FAILURE() << bad.text;
    } catch (const invalid_argument& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(bad.says)) << bad.text;
    }
  }
}

TEST(ShardingPlan, json_of_a_name_that_is_not_utf8_is_refused) {
  EXPECT_THROW(static_cast<void>(to_json({1, {table_wise("\xFF", 0)}})), invalid_argument);
}

}  // namespace
}  // namespace warpbag
