// SPDX-License-Identifier: Apache-2.0
// Bytes counted by hand, and predicted against counted bytes.
#include <gtest/gtest.h>

#include <numeric>

#include "numerics/row_routing.hpp"
#include "planner/case_size.hpp"
#include "planner/traffic.hpp"
#include "planner/zipf.hpp"

namespace warpbag::sharding {
namespace {

using support::full_or_small;
using support::random_source;
using support::zipf_ids;

// ---- counted by hand ----

host_bags bags_of(const std::vector<std::vector<std::int64_t>>& bags) {
  host_bags result;
  for (const auto& bag : bags) {
    result.ids.insert(result.ids.end(), bag.begin(), bag.end());
    result.offsets.push_back(static_cast<std::int64_t>(result.ids.size()));
  }
  return result;
}

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

class CountedTraffic : public ::testing::Test {
 protected:
  link_bytes count(const table_plan& plan, const std::vector<rank_batch>& batches) const {
    const int ranks = static_cast<int>(batches.size());
    return count_traffic({ranks, {plan}}, std::span(&table_, 1), std::span(&features_, 1), batches);
  }

  table_config table_ = {
      .name = "t", .num_embeddings = 10, .embedding_dim = 6, .type = dtype::f16, .padding_idx = 9};
  std::vector<feature_statistics> features_ = {{}};
  // 4 ranks of 16 samples have 16 slices each, of 1 sample. All but the first bags are empty.
  static rank_batch batch(std::vector<std::vector<std::int64_t>> bags, std::size_t samples = 16) {
    bags.resize(samples);
    return {{bags_of(bags)}};
  }
};

TEST_F(CountedTraffic, rows_go_once_and_partial_sums_once_a_subtree) {
  // Padding (9) and bad ids (10, -1) are not read.
  const std::vector<rank_batch> batches = {batch({{1, 1, 2}, {1}}), batch({{3, 9, 10, -1}}),
                                           batch({}), batch({{4}})};
  const link_bytes links = count(table_wise("t", 3), batches);
  EXPECT_EQ(links.forward[links.index(0, 3)], 2 * 8);      // rows 1 and 2
  EXPECT_EQ(links.forward[links.index(3, 0)], 2 * 6 * 2);  // 6 columns of f16
  EXPECT_EQ(links.forward[links.index(1, 3)], 8);
  EXPECT_EQ(links.backward[links.index(0, 3)], 2 * (8 + 6 * 4));
  EXPECT_EQ(links.backward[links.index(1, 3)], 8 + 6 * 4);
  EXPECT_EQ(sum(links.forward), 3 * (8 + 12));
  EXPECT_EQ(sum(links.backward), 3 * 32);
}

TEST_F(CountedTraffic, two_subtrees_have_two_partial_sums) {
  // 2 ranks of 32 samples: rank 0 has slices 0..31, subtrees 0..15 and 16..31.
  std::vector<std::vector<std::int64_t>> bags(32);
  bags[0] = {5};
  bags[15] = {5};
  bags[16] = {5};
  const link_bytes links = count(table_wise("t", 1), {batch(bags, 32), batch({}, 32)});
  EXPECT_EQ(sum(links.forward), 8 + 12);
  EXPECT_EQ(sum(links.backward), 2 * 32);
}

TEST_F(CountedTraffic, column_pieces_ask_each_for_their_columns) {
  table_.scale_grad_by_freq = true;
  const link_bytes links =
      count(column_wise("t", {1, 2}), {batch({{5}}), batch({}), batch({}), batch({})});
  // 6 columns are pieces of 4 and 2.
  EXPECT_EQ(links.forward[links.index(0, 1)], 8);
  EXPECT_EQ(links.forward[links.index(1, 0)], 4 * 2);
  EXPECT_EQ(links.forward[links.index(2, 0)], 2 * 2);
  EXPECT_EQ(links.backward[links.index(0, 1)], 8 + 4 + 4 * 4);
  EXPECT_EQ(links.backward[links.index(0, 2)], 8 + 4 + 2 * 4);
}

TEST_F(CountedTraffic, column_pieces_pass_on_the_lanes_of_sums_over_rows) {
  table_.max_norm = 1.0F;
  table_.optimizer.kind = optimizer_kind::lamb;  // two sums
  const std::vector<rank_batch> batches = {batch({{5}}), batch({{5}}), batch({}), batch({})};
  const link_bytes links = count(column_wise("t", {2, 3}), batches);
  EXPECT_EQ(links.forward[links.index(2, 3)], 128);
  EXPECT_EQ(links.forward[links.index(3, 2)], 128);
  EXPECT_EQ(links.backward[links.index(2, 3)], 2 * 128);
  EXPECT_EQ(links.backward[links.index(3, 2)], 2 * 128);
}

TEST_F(CountedTraffic, replicas_are_not_fetched_and_their_sums_go_to_everybody) {
  const std::vector<rank_batch> batches = {batch({{5, 6}}), batch({}), batch({}), batch({})};
  const link_bytes everywhere = count(data_parallel("t"), batches);
  EXPECT_EQ(sum(everywhere.forward), 0);
  EXPECT_EQ(sum(everywhere.backward), 2 * 3 * 32);
  table_plan plan = table_wise("t", 3);
  plan.replicated_rows = {6};
  const link_bytes one = count(plan, batches);
  EXPECT_EQ(sum(one.forward), 20);
  EXPECT_EQ(sum(one.backward), 32 + 3 * 32);
}

TEST_F(CountedTraffic, frozen_tables_have_no_backward) {
  table_.freeze = true;
  EXPECT_EQ(sum(count(table_wise("t", 1), {batch({{5}}), batch({{5}}, 5)}).backward), 0);
}

TEST_F(CountedTraffic, features_of_a_table_share_rows_and_have_partial_sums_of_their_own) {
  features_ = {{}, {}};
  const rank_batch both = {{bags_of({{5}, {5}}), bags_of({{5}, {}})}};
  const rank_batch none = {{bags_of({{}, {}}), bags_of({{}, {}})}};
  const link_bytes links = count(table_wise("t", 1), {both, none});
  EXPECT_EQ(sum(links.forward), 20);
  // Rank 0's samples are in slices 0 and 16, subtrees of their own.
  EXPECT_EQ(sum(links.backward), (2 + 1) * 32);
}

TEST_F(CountedTraffic, samples_of_a_cut_slice_move_with_their_gradients) {
  // 65 samples: slice 0 is samples 0 and 1, and rank 0 has only the first. Rank 1 makes all sums.
  const auto count_mode = [&](pooling_mode mode, bool weighted, index_type ids = index_type::i64) {
    features_ = {
        {.weighted = weighted, .mode = mode, .gradient_type = dtype::bf16, .ids_type = ids}};
    const link_bytes links = count(table_wise("t", 0), {batch({{5, 9, 5}}, 1), batch({{5}}, 64)});
    const int id_bytes = ids == index_type::i64 ? 8 : 4;
    EXPECT_EQ(links.backward[links.index(1, 0)],
              mode == pooling_mode::none
                  ? 8 + id_bytes + 12
                  : 8 + id_bytes + (weighted ? 4 : 0) + 12 + (mode == pooling_mode::max ? 24 : 0));
    return links.backward[links.index(0, 1)];
  };
  EXPECT_EQ(count_mode(pooling_mode::sum, false), 0);
  EXPECT_EQ(count_mode(pooling_mode::mean, true), 0);
  EXPECT_EQ(count_mode(pooling_mode::max, false), 0);
  EXPECT_EQ(count_mode(pooling_mode::none, false), 0);
  EXPECT_EQ(count_mode(pooling_mode::sum, false, index_type::i32), 0);
}

TEST_F(CountedTraffic, partial_bags_go_to_the_owners_of_their_rows) {
  table_plan plan = row_wise("t", 2);
  plan.exchange = row_exchange::partial_bags;
  const numerics::row_routing routing = numerics::make_row_routing(10, 0);
  std::vector<std::int64_t> remote;
  for (std::int64_t id = 0; id < 9; ++id) {
    if (numerics::place_of(routing, 2, id).owner == 1) remote.push_back(id);
  }
  ASSERT_GE(remote.size(), 2U);
  const link_bytes links = count(plan, {batch({{remote[0], remote[1], remote[0]}, {}}), batch({})});
  EXPECT_EQ(links.forward[links.index(0, 1)], 8 + 3 * 8);
  EXPECT_EQ(links.forward[links.index(1, 0)], 6 * 4);
  EXPECT_EQ(links.backward[links.index(0, 1)], 6 * 4);
  // A mean sends its scale, and gradients of weights come back.
  features_ = {{.weighted = true, .mode = pooling_mode::mean, .weight_gradients = true}};
  const link_bytes mean = count(plan, {batch({{remote[0], remote[1]}}), batch({})});
  EXPECT_EQ(mean.forward[mean.index(0, 1)], 8 + 4 + 2 * (8 + 4));
  EXPECT_EQ(mean.backward[mean.index(1, 0)], 2 * 4);
}

// ---- predicted ----

std::vector<rank_batch> draw_batches(const zipf_ids& law, int ranks, std::int64_t samples,
                                     std::int64_t hotness, random_source& random) {
  std::vector<rank_batch> batches;
  for (int rank = 0; rank < ranks; ++rank) {
    host_bags bags;
    for (std::int64_t bag = 0; bag < samples; ++bag) {
      for (std::int64_t i = 0; i < hotness; ++i) bags.ids.push_back(law.draw(random));
      bags.offsets.push_back(static_cast<std::int64_t>(bags.ids.size()));
    }
    batches.push_back({{bags}});
  }
  return batches;
}

void expect_predicted(const sharding_plan& plan, const table_config& table,
                      const table_statistics& statistics, std::int64_t samples,
                      const link_bytes& links, const char* from) {
  const step_prediction predicted =
      predict_step(plan, std::span(&table, 1), std::span(&statistics, 1), samples,
                   {.num_ranks = plan.num_ranks});
  const auto forward = static_cast<double>(sum(links.forward));
  const auto backward = static_cast<double>(sum(links.backward));
  constexpr double tolerance = support::full_or_small(0.02, 0.06);  // fewer draws scatter more
  EXPECT_NEAR(predicted.bytes.forward, forward, tolerance * forward) << from;
  EXPECT_NEAR(predicted.bytes.backward, backward, tolerance * backward) << from;
}

TEST(PredictedTraffic, is_within_2_percent_of_counted) {
  constexpr std::int64_t num_rows = 200'000;
  const table_config table = {.name = "t", .num_embeddings = num_rows, .embedding_dim = 32};
  random_source random(32);
  for (const double alpha : {0.8, 1.05, 1.2}) {
    const zipf_ids law(num_rows, alpha);
    for (const std::int64_t hotness : {1, 20}) {
      // Enough rows that chance is well below 2 % of them.
      const std::int64_t samples = hotness == 1 ? 4096 : 512;
      for (const int ranks : {6, 8, full_or_small(64, 3)}) {
        SCOPED_TRACE(::testing::Message() << alpha << ' ' << hotness << ' ' << ranks);
        const auto batches = draw_batches(law, ranks, samples, hotness, random);
        table_statistics statistics = {.features = {{.hotness = static_cast<double>(hotness)}},
                                       .ids = id_distribution::power_law(num_rows, alpha)};
        id_sketch sketch(num_rows);
        for (const rank_batch& batch : draw_batches(law, 1, 100'000 / hotness, hotness, random)) {
          sketch.add(std::span<const std::int64_t>(batch[0][0].ids));
        }
        const sharding_plan plan = {ranks, {row_wise("t", ranks)}};
        const link_bytes links =
            count_traffic(plan, std::span(&table, 1), std::span(&statistics.features, 1), batches);
        expect_predicted(plan, table, statistics, samples, links, "law");
        statistics.ids = sketch.distribution();
        expect_predicted(plan, table, statistics, samples, links, "sketch");
      }
    }
  }
}

TEST(PredictedTraffic, holds_for_every_kind_of_plan) {
  constexpr std::int64_t num_rows = 20'000;
  constexpr std::int64_t samples = 600;
  constexpr int ranks = 6;
  // Of rows in pieces the lanes of two sums travel: norms and row-wise states.
  const table_config table = {.name = "t",
                              .num_embeddings = num_rows,
                              .embedding_dim = 30,
                              .max_norm = 1.0F,
                              .scale_grad_by_freq = true,
                              .optimizer = {.kind = optimizer_kind::rowwise_adagrad}};
  random_source random(33);
  const zipf_ids law(num_rows, 1.05);
  const auto batches = draw_batches(law, ranks, samples, 10, random);
  const table_statistics statistics = {.features = {{.hotness = 10.0}},
                                       .ids = id_distribution::power_law(num_rows, 1.05)};
  table_plan replicas = row_wise("t", ranks);
  for (std::int64_t row = 0; row < 100; ++row) replicas.replicated_rows.push_back(row);
  table_plan partial = row_wise("t", 3);
  partial.exchange = row_exchange::partial_bags;
  for (const table_plan& part :
       {table_wise("t", 4), column_wise("t", {5, 0, 1}), data_parallel("t"),
        table_row_wise("t", 3, 3), grid("t", {1, 0}, 3), replicas, partial}) {
    SCOPED_TRACE(to_string(part.kind));
    const sharding_plan plan = {ranks, {part}};
    const link_bytes links =
        count_traffic(plan, std::span(&table, 1), std::span(&statistics.features, 1), batches);
    expect_predicted(plan, table, statistics, samples, links, "law");
    // Each rank's, too: what it sends and receives.
    const step_prediction predicted =
        predict_step(plan, std::span(&table, 1), std::span(&statistics, 1), samples,
                     {.num_ranks = ranks}, {.bytes = 0, .bytes_per_table = 0});
    for (int rank = 0; rank < ranks; ++rank) {
      double sent = 0.0;
      double received = 0.0;
      for (int peer = 0; peer < ranks; ++peer) {
        sent += static_cast<double>(links.forward[links.index(rank, peer)] +
                                    links.backward[links.index(rank, peer)]);
        received += static_cast<double>(links.forward[links.index(peer, rank)] +
                                        links.backward[links.index(peer, rank)]);
      }
      const rank_prediction& here = predicted.ranks[static_cast<std::size_t>(rank)];
      EXPECT_NEAR(here.sent_bytes, sent, 0.05 * sent) << rank;
      EXPECT_NEAR(here.received_bytes, received, 0.05 * received) << rank;
    }
  }
}

TEST(HeaderBytes, are_for_every_exchange_and_ordered_pair) {
  EXPECT_EQ(header_bytes({.bytes = 100, .bytes_per_table = 10, .exchanges = 2}, 3, 5),
            3 * 2 * 2 * 150);
  EXPECT_EQ(header_bytes({}, 1, 5), 0);
}

}  // namespace
}  // namespace warpbag::sharding
