// SPDX-License-Identifier: Apache-2.0
// Every public call of a collection on a table of four rows, against numbers worked out by hand.

#include <gmock/gmock.h>

#include "collection/small_batch.hpp"

namespace warpbag::support {
namespace {

using ::testing::ElementsAre;

class HandComputed : public on_every_backend {
 protected:
  embedding_bag_collection make(pooling_mode mode, bool by_frequency = false) {
    table_config config = from_pretrained("t", {rows, dtype::f32, 4, 2}, false);
    config.scale_grad_by_freq = by_frequency;
    config.optimizer.learning_rate = 0.5F;
    return {{config}, {{"f", "t", mode}}, resources_};
  }

  /// Bags {0, 2}, {}, {3, 3, 1, 1}.
  small_batch batch_of(embedding_bag_collection& collection, std::vector<float> weights = {}) {
    return {*device_, collection, {{{0, 2, 3, 3, 1, 1}, {0, 2, 2, 6}, std::move(weights)}}};
  }

  static constexpr float rows[8] = {1, 2, 3, 4, 5, 6, 7, 8};
};

TEST_P(HandComputed, forward_sums) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(6, 8, 0, 0, 20, 24));
}

TEST_P(HandComputed, forward_sums_with_weights) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection, {2, -1, 0.5F, 0.5F, 1, 0});
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(-3, -2, 0, 0, 10, 12));
}

TEST_P(HandComputed, forward_averages) {
  auto collection = make(pooling_mode::mean);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(3, 4, 0, 0, 5, 6));
}

TEST_P(HandComputed, forward_takes_the_maximum) {
  auto collection = make(pooling_mode::max);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(5, 6, 0, 0, 7, 8));
}

TEST_P(HandComputed, forward_copies_rows_in_mode_none) {
  auto collection = make(pooling_mode::none);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(1, 2, 5, 6, 7, 8, 7, 8, 3, 4, 3, 4));
}

// exact_numbers(6): -3/8, 0, 3/8, 6/8, -8/8, -5/8 are the gradients of the three bags.
TEST_P(HandComputed, gradients_are_numbers_known_here) {
  EXPECT_THAT(exact_numbers(6), ElementsAre(-0.375F, 0, 0.375F, 0.75F, -1, -0.625F));
}

TEST_P(HandComputed, backward_dense_sums_a_row_s_occurrences) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
  EXPECT_THAT(batch.dense_gradient(0), ElementsAre(-0.375F, 0, -2, -1.25F, -0.375F, 0, -2, -1.25F));
}

TEST_P(HandComputed, backward_dense_scales_by_frequency) {
  auto collection = make(pooling_mode::sum, true);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
  EXPECT_THAT(batch.dense_gradient(0),
              ElementsAre(-0.375F, 0, -1, -0.625F, -0.375F, 0, -1, -0.625F));
}

TEST_P(HandComputed, backward_sparse_lists_touched_rows_and_their_sums) {
  auto collection = make(pooling_mode::mean);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_sparse(batch.bags, batch.output_gradients, batch.sparse);
  EXPECT_THAT(batch.sparse_rows(0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(batch.sparse_values(0),
              ElementsAre(-0.1875F, 0, -0.5F, -0.3125F, -0.1875F, 0, -0.5F, -0.3125F));
}

TEST_P(HandComputed, backward_gives_a_maximum_s_gradient_to_its_first_winner) {
  auto collection = make(pooling_mode::max);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
  EXPECT_THAT(batch.dense_gradient(0), ElementsAre(0, 0, 0, 0, -0.375F, 0, -1, -0.625F));
}

TEST_P(HandComputed, backward_gives_the_gradient_of_weights) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection, {2, -1, 0.5F, 0.5F, 1, 0});
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
  EXPECT_THAT(batch.weight_gradient(0), ElementsAre(-0.375F, -1.875F, -12, -12, -5.5F, -5.5F));
}

TEST_P(HandComputed, backward_takes_the_optimizer_s_step) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients);
  EXPECT_THAT(contents(collection, collection.weight(0)),
              ElementsAre(1.1875F, 2, 4, 4.625F, 5.1875F, 6, 8, 8.625F));
  EXPECT_EQ(collection.step_of(0).step, 1U);
}

TEST_P(HandComputed, backward_uses_the_learning_rate_of_now) {
  auto collection = make(pooling_mode::sum);
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  collection.set_learning_rate("t", 2.0F);
  collection.backward(batch.bags, batch.output_gradients);
  EXPECT_THAT(contents(collection, collection.weight(0)),
              ElementsAre(1.75F, 2, 7, 6.5F, 5.75F, 6, 11, 10.5F));
  EXPECT_EQ(collection.step_of(0).learning_rate, 2.0F);
  EXPECT_EQ(collection.config(0).optimizer.learning_rate, 0.5F);
}

WARPBAG_FOR_EVERY_BACKEND(HandComputed);

}  // namespace
}  // namespace warpbag::support
