// SPDX-License-Identifier: Apache-2.0
// Gradients of shards that a caller gets and gives back: what is refused, by whom, and what then
// still works. That their bits are those of one device is the business of same_bits_test.cpp.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "sharding/sharded_case.hpp"
#include "warpbag/error.hpp"

namespace warpbag::support {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t num_rows = 40;
constexpr std::int64_t dim = 8;

/// A collection of one table, whose batch reads every row once on every rank.
class rank_under_test {
 public:
  rank_under_test(std::shared_ptr<transport> ranks, const table_plan& plan, bool freeze = false)
      : ids_(num_rows), output_(num_rows * dim), gradient_(num_rows * dim, 0.5F) {
    std::iota(ids_.begin(), ids_.end(), std::int64_t{0});
    table_config table;
    table.name = plan.table;
    table.num_embeddings = num_rows;
    table.embedding_dim = dim;
    table.freeze = freeze;
    table.optimizer.clipping = clipping_kind::norm;
    table.optimizer.clipping_limit = 1.0F;
    const int num_ranks = ranks->size();
    collection_.emplace(
        std::vector<table_config>{table}, std::vector<feature_config>{{"feature", plan.table}},
        sharding_plan{num_ranks, {plan}}, std::move(ranks), resources{.num_threads = 1});
  }

  sharded_embedding_bag_collection& get() { return *collection_; }

  void forward() {
    const tensor_view output(output_.data(), dtype::f32, num_rows, dim);
    collection_->forward({&bags(), 1}, {&output, 1});
  }
  void backward() { collection_->backward({&bags(), 1}, {&output_gradient(), 1}); }
  void backward_sparse() {
    place_gradients();
    make_gradients();
  }
  void make_gradients() {
    collection_->backward_sparse({&bags(), 1}, {&output_gradient(), 1}, gradients);
  }
  void backward_dense() {
    std::vector<tensor_view> matrices;
    dense.clear();
    for (std::size_t s = 0; s < collection_->num_shards(); ++s) {
      const tensor_view weight = collection_->weight(s);
      dense.emplace_back(static_cast<std::size_t>(weight.rows * weight.dim));
      matrices.emplace_back(dense.back().data(), dtype::f32, weight.rows, weight.dim);
    }
    collection_->backward_dense({&bags(), 1}, {&output_gradient(), 1}, matrices);
  }
  void apply() { collection_->apply_gradients(gradients); }

  /// Room for gradients of all shards, after forward.
  void place_gradients() {
    gradients.clear();
    rows.clear();
    values.clear();
    counts.assign(collection_->num_shards(), 0);
    for (std::size_t s = 0; s < collection_->num_shards(); ++s) {
      const std::int64_t capacity = collection_->gradient_capacity(s);
      const std::int64_t columns = collection_->shard(s).num_columns;
      rows.emplace_back(static_cast<std::size_t>(capacity));
      values.emplace_back(static_cast<std::size_t>(capacity * columns));
      gradients.push_back(
          {rows[s].data(), {values[s].data(), dtype::f32, capacity, columns}, &counts[s]});
    }
  }

  /// The first weight that this rank holds.
  float first_weight() { return *static_cast<const float*>(collection_->weight(0).data); }

  std::vector<sparse_gradient> gradients;  // [shard], on the vectors below
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<std::vector<float>> values;
  std::vector<std::int64_t> counts;
  std::vector<std::vector<float>> dense;  // [shard]

 private:
  const jagged_view& bags() {
    bags_ = jagged_view::fixed({ids_.data(), num_rows}, num_rows, 1);
    return bags_;
  }
  const const_tensor_view& output_gradient() {
    output_gradient_ = {gradient_.data(), dtype::f32, num_rows, dim};
    return output_gradient_;
  }

  std::vector<std::int64_t> ids_;
  std::vector<float> output_;
  std::vector<float> gradient_;
  jagged_view bags_;
  const_tensor_view output_gradient_;
  std::optional<sharded_embedding_bag_collection> collection_;
};

/// What `body` throws as an Error; fails the test if it throws nothing or something else.
template <typename Error, typename Body>
std::string words_of(Body body) {
  try {
    body();
  } catch (const Error& fault) {
    return fault.what();
  } catch (const std::exception& fault) {
    ADD_FAILURE() << "another type: " << fault.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// On one rank that has seen a batch and its gradients.
std::string refusal(const std::function<void(rank_under_test&)>& call) {
  in_process_world world(1);
  rank_under_test rank(world.connect(0), row_wise("table", 1));
  rank.forward();
  rank.backward_sparse();
  const float before = rank.first_weight();
  const std::string words = words_of<invalid_argument>([&] { call(rank); });
  EXPECT_EQ(before, rank.first_weight());
  EXPECT_NO_THROW(rank.backward());  // the batch is still there
  return words;
}

TEST(ShardGradients, are_refused_when_there_are_more_than_shards) {
  const auto words = refusal([](rank_under_test& rank) {
    rank.gradients.push_back(rank.gradients.front());
    rank.apply();
  });
  EXPECT_THAT(words, HasSubstr("2 gradients for 1 shards"));
}

TEST(ShardGradients, are_refused_when_their_memory_does_not_fit) {
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.gradients[0].values.rows -= 1;
                rank.make_gradients();
              }),
              HasSubstr("room for 39 rows of gradient, 40 are needed"));
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.gradients[0].values.dim -= 1;
                rank.apply();
              }),
              HasSubstr("table \"table, shard 0\""));
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.gradients[0].values.type = static_cast<dtype>(9);
                rank.apply();
              }),
              HasSubstr("unknown type 9"));
}

TEST(ShardGradients, are_refused_when_rows_do_not_ascend_or_are_not_there) {
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                std::swap(rank.rows[0][3], rank.rows[0][4]);
                rank.apply();
              }),
              HasSubstr("row 4 of the gradient is 3, must be in (4, 40)"));
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.rows[0].back() = num_rows;
                rank.apply();
              }),
              HasSubstr("row 39 of the gradient is 40"));
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.counts[0] = num_rows + 1;
                rank.apply();
              }),
              HasSubstr("count is 41, must be in [0, 40]"));
}

TEST(ShardGradients, are_refused_when_they_share_memory_with_weights) {
  EXPECT_THAT(refusal([](rank_under_test& rank) {
                rank.gradients[0].values.data = rank.get().weight(0).data;
                rank.apply();
              }),
              HasSubstr("shares memory"));
}

TEST(ShardGradients, need_a_batch) {
  in_process_world world(1);
  rank_under_test rank(world.connect(0), row_wise("table", 1));
  EXPECT_THROW(static_cast<void>(rank.get().gradient_capacity(0)), invalid_argument);
  rank.forward();
  rank.backward_sparse();
  EXPECT_THROW(static_cast<void>(rank.get().gradient_capacity(1)), invalid_argument);
  rank.apply();
  EXPECT_THROW(rank.backward_dense(), invalid_argument);  // rows have changed
}

TEST(ShardGradients, of_frozen_tables_are_not_there) {
  in_process_world world(1);
  rank_under_test rank(world.connect(0), row_wise("table", 1), true);
  rank.forward();
  const float before = rank.first_weight();
  rank.place_gradients();
  rank.counts[0] = -7;
  rank.make_gradients();
  EXPECT_EQ(rank.counts[0], -7);
  rank.apply();
  EXPECT_EQ(before, rank.first_weight());
  EXPECT_NO_THROW(rank.backward());  // no rows have changed
}

/// Runs body(rank, collection) on two ranks after forward and backward_sparse.
void on_two_ranks(const table_plan& plan, const std::function<void(int, rank_under_test&)>& body) {
  in_process_world world(2);
  for_each_rank(2, [&](int rank) {
    rank_under_test under_test(world.connect(rank), plan);
    under_test.forward();
    under_test.backward_sparse();
    body(rank, under_test);
  });
}

TEST(ShardGradients, of_rows_elsewhere_are_refused_on_all_ranks_which_go_on) {
  on_two_ranks(row_wise("table", 2), [](int rank, rank_under_test& under_test) {
    std::vector<std::int64_t>& rows = under_test.rows[0];
    ASSERT_EQ(static_cast<std::int64_t>(rows.size()), under_test.counts[0]);
    const std::vector<std::int64_t> kept = rows;
    if (rank == 1) {  // the first id that rank 0 has, in its place
      std::int64_t other = 0;
      while (std::binary_search(kept.begin(), kept.end(), other)) ++other;
      *std::lower_bound(rows.begin(), rows.end(), other) = other;
    }
    const std::string words = words_of<invalid_argument>([&] { under_test.apply(); });
    EXPECT_THAT(words, HasSubstr(rank == 1 ? "which this shard does not hold" : "rank 1"));
    std::copy(kept.begin(), kept.end(), rows.begin());
    EXPECT_NO_THROW(under_test.apply());
  });
}

TEST(ShardGradients, of_replicas_that_differ_are_a_mismatch) {
  on_two_ranks(data_parallel("table"), [](int rank, rank_under_test& under_test) {
    const float before = under_test.first_weight();
    if (rank == 1) under_test.values[0][17] *= 2.0F;
    words_of<rank_mismatch>([&] { under_test.apply(); });
    EXPECT_EQ(before, under_test.first_weight());
  });
}

TEST(ShardGradients, of_other_rows_in_another_piece_of_columns_are_a_mismatch) {
  on_two_ranks(column_wise("table", {0, 1}), [](int rank, rank_under_test& under_test) {
    const float before = under_test.first_weight();
    if (rank == 0) --under_test.counts[0];
    const std::string words = words_of<rank_mismatch>([&] { under_test.apply(); });
    EXPECT_THAT(words, HasSubstr("\"table\""));
    EXPECT_EQ(before, under_test.first_weight());
  });
}

TEST(ShardGradients, in_another_form_than_the_other_rank_wants_are_a_mismatch) {
  on_two_ranks(row_wise("table", 2), [](int rank, rank_under_test& under_test) {
    const std::string words = words_of<rank_mismatch>([&] {
      if (rank == 0) under_test.backward_dense();
      if (rank == 1) under_test.backward();
    });
    EXPECT_THAT(words, HasSubstr("backward_dense"));
  });
}

TEST(ShardedWorkspace, grows_by_a_reservation_and_not_by_the_same_batch_again) {
  in_process_world world(1);
  rank_under_test rank(world.connect(0), row_wise("table", 1));
  const std::size_t made = rank.get().workspace_bytes();
  std::vector<std::int64_t> ids(1000, 0);
  const jagged_view bags = jagged_view::fixed({ids.data(), 1000}, 1000, 1);
  rank.get().reserve({&bags, 1});
  const std::size_t reserved = rank.get().workspace_bytes();
  EXPECT_GT(reserved, made + 1000 * sizeof(std::int64_t));
  const auto step = [&] {
    rank.forward();
    rank.backward();
    return rank.get().workspace_bytes();
  };
  step();
  const std::size_t after_two = step();  // batches take turns in two places
  EXPECT_GE(after_two, reserved);
  EXPECT_EQ(step(), after_two);
  rank.get().check();
}

}  // namespace
}  // namespace warpbag::support
