// SPDX-License-Identifier: Apache-2.0
// What a sharded collection is made of and what it refuses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "warpbag/error.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

table_config make_table(std::int64_t rows, std::int64_t dim) {
  table_config table;
  table.name = "table";
  table.num_embeddings = rows;
  table.embedding_dim = dim;
  return table;
}

TEST(ShardedCollection, pools_in_parts_only_sums_and_means_and_only_where_that_is_allowed) {
  const auto making = [](pooling_mode mode, bool allow_inexact) {
    return [mode, allow_inexact] {
      in_process_world world(1);
      table_plan plan = row_wise("table", 1);
      plan.exchange = row_exchange::partial_bags;
      sharded_embedding_bag_collection({make_table(10, 4)}, {{"feature", "table", mode}},
                                       {1, {plan}}, std::shared_ptr<transport>(world.connect(0)),
                                       resources{}, {.allow_inexact = allow_inexact});
    };
  };
  EXPECT_NO_THROW(making(pooling_mode::sum, true)());
  EXPECT_NO_THROW(making(pooling_mode::mean, true)());
  EXPECT_THAT(making(pooling_mode::sum, false),
              ThrowsMessage<invalid_argument>(HasSubstr("allow_inexact is not set")));
  EXPECT_THAT(making(pooling_mode::max, true),
              ThrowsMessage<invalid_argument>(HasSubstr("'feature' has mode max")));
  EXPECT_THAT(making(pooling_mode::none, true),
              ThrowsMessage<invalid_argument>(HasSubstr("'feature' has mode none")));
}

TEST(ShardedCollection, refuses_a_plan_for_another_number_of_ranks) {
  in_process_world world(1);
  const auto make = [&] {
    sharded_embedding_bag_collection({make_table(10, 4)}, {{"feature", "table"}},
                                     {3, {row_wise("table", 3)}},
                                     std::shared_ptr<transport>(world.connect(0)), resources{});
  };
  EXPECT_THAT(make, ThrowsMessage<invalid_argument>(HasSubstr("plan for 3 ranks")));
}

TEST(ShardedCollection, refuses_shards_and_rows_that_are_not_there) {
  in_process_world world(1);
  sharded_embedding_bag_collection collection(
      {make_table(10, 4)}, {{"feature", "table"}}, {1, {row_wise("table", 1)}},
      std::shared_ptr<transport>(world.connect(0)), resources{});
  EXPECT_THROW(static_cast<void>(collection.shard(1)), invalid_argument);
  EXPECT_THROW(static_cast<void>(collection.weight(7)), invalid_argument);
  EXPECT_THROW(static_cast<void>(collection.row_id(0, 10)), invalid_argument);
  EXPECT_THROW(static_cast<void>(collection.row_id(0, -1)), invalid_argument);
}

TEST(ShardedCollection, holds_every_row_once_over_the_owners_and_replicas_of_the_rest) {
  constexpr int num_ranks = 3;
  table_plan plan = row_wise("table", num_ranks);
  plan.replicated_rows = {2, 5};
  in_process_world world(num_ranks);
  std::vector<std::vector<std::int64_t>> ids(num_ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&, rank] {
      sharded_embedding_bag_collection collection(
          {make_table(100, 8)}, {{"feature", "table"}}, {num_ranks, {plan}},
          std::shared_ptr<transport>(world.connect(rank)), resources{.num_threads = 1});
      EXPECT_EQ(collection.num_shards(), 2U);
      const table_shard& part = collection.shard(0);
      EXPECT_FALSE(part.is_replica);
      EXPECT_EQ(part.num_columns, 8);
      for (std::int64_t row = 0; row < part.num_rows; ++row) {
        ids[static_cast<std::size_t>(rank)].push_back(collection.row_id(0, row));
      }
      EXPECT_TRUE(collection.shard(1).is_replica);
      EXPECT_EQ(collection.shard(1).num_rows, 2);
      EXPECT_EQ(collection.row_id(1, 1), 5);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::int64_t> all;
  for (const auto& of_rank : ids) {
    EXPECT_GE(of_rank.size(), 33U);  // 100 rows over 3 owners, to within a bucket's rows
    EXPECT_LE(of_rank.size(), 34U);
    all.insert(all.end(), of_rank.begin(), of_rank.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<std::int64_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace warpbag
