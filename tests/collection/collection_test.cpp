// SPDX-License-Identifier: Apache-2.0
#include "warpbag/collection.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "collection/small_batch.hpp"
#include "numerics/initialisation.hpp"
#include "operations/problem.hpp"

namespace warpbag::support {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

optimizer_options adam() {
  optimizer_options options;
  options.kind = optimizer_kind::adam;
  options.learning_rate = 0.125F;
  return options;
}

class Collection : public on_every_backend {
 protected:
  /// Two tables, four features, one of them on a table that another one reads too.
  embedding_bag_collection make(bool by_frequency = false, optimizer_options optimizer = adam()) {
    table_config item = make_table("item", 9, 5, optimizer);
    item.scale_grad_by_freq = by_frequency;
    item.padding_idx = -1;
    table_config user = make_table("user", 6, 4, optimizer);
    user.max_norm = 0.75F;
    return {{item, user},
            {{"clicked", "item", pooling_mode::sum},
             {"age", "user", pooling_mode::max},
             {"history", "item", pooling_mode::mean},
             {"word", "user", pooling_mode::none}},
            resources_,
            {.seed = 7}};
  }

  small_batch batch_of(embedding_bag_collection& collection) {
    return {*device_,
            collection,
            {{{0, 3, 3, 8, 1, 0, 5}, {0, 3, 3, 7}, {1, 0.5F, -1, 2, 0.25F, 1, -2}},
             {{5, 5, 0, 2}, {0, 1, 4, 4}},
             {{7, 1, 3, 3}, {0, 0, 2, 4}},
             {{1, 0, 1, 4}, {0, 2, 3, 4}}}};
  }
};

TEST_P(Collection, makes_normal_first_values_keyed_by_seed_table_row_and_column) {
  auto collection = make();
  const auto values = contents(collection, collection.weight(1));
  std::vector<float> wanted;
  for (std::uint64_t row = 0; row < 6; ++row) {
    for (std::uint32_t column = 0; column < 4; ++column) {
      const auto word =
          numerics::random_word(7, numerics::random_use::initialisation, 1, row, column, 0);
      wanted.push_back(numerics::initial_value(numerics::init_kind::normal, 0.5F, word));
    }
  }
  EXPECT_THAT(values, ElementsAreArray(wanted));
}

TEST_P(Collection, leaves_the_padding_row_zero) {
  auto collection = make();
  const auto values = contents(collection, collection.weight(0));
  EXPECT_THAT(std::vector<float>(values.end() - 5, values.end()), Each(0.0F));
  EXPECT_NE(values[0], 0.0F);
}

TEST_P(Collection, makes_uniform_and_zero_first_values) {
  table_config uniform = make_table("uniform", 100, 3);
  uniform.init = initialization::uniform;
  table_config zero = make_table("zero", 3, 3);
  zero.init = initialization::zero;
  embedding_bag_collection collection({uniform, zero}, {}, resources_);
  const auto values = contents(collection, collection.weight(0));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GT(*low, -0.1F);
  EXPECT_LT(*low, -0.08F);
  EXPECT_LT(*high, 0.1F);
  EXPECT_GT(*high, 0.08F);
  EXPECT_THAT(contents(collection, collection.weight(1)), Each(0.0F));
}

TEST_P(Collection, starts_optimizer_states_at_zero_or_the_initial_accumulator) {
  optimizer_options ftrl;
  ftrl.kind = optimizer_kind::ftrl;
  ftrl.initial_accumulator = 0.5F;
  optimizer_options rowwise = ftrl;
  rowwise.kind = optimizer_kind::rowwise_adagrad;
  embedding_bag_collection collection(
      {make_table("a", 3, 2, ftrl), make_table("b", 3, 2, rowwise), make_table("c", 3, 2, adam())},
      {}, resources_);
  EXPECT_THAT(contents(collection, collection.state(0, 0)), Each(0.0F));
  EXPECT_THAT(contents(collection, collection.state(0, 1)), Each(0.5F));
  EXPECT_THAT(contents(collection, collection.state(1, 0)), ElementsAre(0.5F, 0.5F, 0.5F));
  EXPECT_EQ(collection.state(1, 1).data, nullptr);
  EXPECT_THAT(contents(collection, collection.state(2, 1)), Each(0.0F));
  const step_state step = collection.step_of(2);
  EXPECT_EQ(step.step, 0U);
  EXPECT_EQ(step.learning_rate, 0.125F);
  EXPECT_EQ(step.beta1_power, 1.0);
}

TEST_P(Collection, steps_as_the_functional_interface_does) {
  auto collection = make();
  auto twin = make();
  auto batch = batch_of(collection);
  auto twin_batch = batch_of(twin);
  device_array<step_state> steps(*device_, {twin.step_of(0), twin.step_of(1)});
  std::vector<table_view> tables(2);
  for (std::size_t t = 0; t < 2; ++t) {
    tables[t].weight = twin.weight(t);
    tables[t].padding_idx = twin.config(t).padding_idx;
    tables[t].max_norm = twin.config(t).max_norm;
    tables[t].optimizer = twin.config(t).optimizer;
    for (int i = 0; i < 2; ++i) tables[t].state[i] = static_cast<float*>(twin.state(t, i).data);
    tables[t].step = steps.data() + t;
  }
  const std::vector<feature_view> features = {{0, pooling_mode::sum, twin_batch.bags[0]},
                                              {1, pooling_mode::max, twin_batch.bags[1]},
                                              {0, pooling_mode::mean, twin_batch.bags[2]},
                                              {1, pooling_mode::none, twin_batch.bags[3]}};
  step_workspace workspace(resources_);
  for (int step = 0; step < 3; ++step) {
    collection.forward(batch.bags, batch.outputs);
    collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
    forward(tables, features, twin_batch.outputs, workspace);
    backward_fused(tables, features, twin_batch.output_gradients, workspace,
                   twin_batch.weight_gradients);
  }
  for (std::size_t f = 0; f < 4; ++f) EXPECT_EQ(batch.output(f), twin_batch.output(f)) << f;
  EXPECT_EQ(batch.weight_gradient(0), twin_batch.weight_gradient(0));
  EXPECT_EQ(batch.weight_gradient(2), twin_batch.weight_gradient(2));
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(contents(collection, collection.weight(t)), contents(twin, twin.weight(t)));
    EXPECT_EQ(contents(collection, collection.state(t, 1)), contents(twin, twin.state(t, 1)));
  }
  EXPECT_EQ(steps.values()[1].step, 3U);
  EXPECT_GT(collection.workspace_bytes(), 0U);
  EXPECT_EQ(collection.workspace_bytes(), workspace.bytes());
}

/// backward_sparse then apply_gradients, against backward, for three steps.
TEST_P(Collection, applies_sparse_gradients_as_backward_does_bit_for_bit) {
  for (const bool by_frequency : {false, true}) {
    auto fused = make(by_frequency);
    auto sparse = make(by_frequency);
    auto batch = batch_of(fused);
    auto other = batch_of(sparse);
    for (int step = 0; step < 3; ++step) {
      fused.forward(batch.bags, batch.outputs);
      fused.backward(batch.bags, batch.output_gradients);
      sparse.forward(other.bags, other.outputs);
      sparse.backward_sparse(other.bags, other.output_gradients, other.sparse);
      sparse.apply_gradients(other.sparse);
    }
    EXPECT_EQ(snapshot(fused), snapshot(sparse));
    EXPECT_THAT(other.sparse_rows(0), ElementsAre(0, 1, 3, 5, 7));
    EXPECT_THAT(other.sparse_rows(1), ElementsAre(0, 1, 2, 4, 5));
  }
}

TEST_P(Collection, gives_dense_gradients_equal_to_the_sparse_ones) {
  for (const bool by_frequency : {false, true}) {
    auto collection = make(by_frequency);
    auto batch = batch_of(collection);
    const auto before = snapshot(collection);
    collection.forward(batch.bags, batch.outputs);
    const auto pooled = snapshot(collection);  // max_norm has acted
    collection.backward_sparse(batch.bags, batch.output_gradients, batch.sparse);
    collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
    EXPECT_EQ(snapshot(collection), pooled);
    EXPECT_NE(before, pooled);
    for (std::size_t t = 0; t < 2; ++t) {
      const auto dim = static_cast<std::size_t>(collection.config(t).embedding_dim);
      const auto rows = batch.sparse_rows(t);
      const auto values = batch.sparse_values(t);
      std::vector<float> wanted(static_cast<std::size_t>(collection.config(t).num_embeddings) *
                                dim);
      for (std::size_t k = 0; k < rows.size(); ++k) {
        std::copy_n(values.data() + k * dim, dim,
                    wanted.data() + static_cast<std::size_t>(rows[k]) * dim);
      }
      EXPECT_EQ(batch.dense_gradient(t), wanted) << "table " << t;
    }
  }
}

TEST_P(Collection, does_not_train_a_frozen_table) {
  static constexpr float rows[6] = {1, 2, 3, 4, 5, 6};
  table_config frozen = from_pretrained("frozen", {rows, dtype::f32, 3, 2});
  EXPECT_TRUE(frozen.freeze);
  frozen.optimizer = adam();
  embedding_bag_collection collection({frozen, make_table("free", 4, 2, adam())},
                                      {{"a", "frozen"}, {"b", "free"}}, resources_);
  EXPECT_EQ(collection.state(0, 0).data, nullptr);
  EXPECT_EQ(collection.config(0).pretrained.data, nullptr);
  small_batch batch(*device_, collection, {{{0, 2}, {0, 1, 2}}, {{1, 1}, {0, 1, 2}}});
  const auto free_before = contents(collection, collection.weight(1));
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
  EXPECT_THAT(contents(collection, collection.weight(0)), ElementsAreArray(rows));
  EXPECT_NE(contents(collection, collection.weight(1)), free_before);
  EXPECT_EQ(collection.step_of(0).step, 0U);
  EXPECT_EQ(collection.step_of(1).step, 1U);
  EXPECT_THAT(batch.weight_gradient(0), ::testing::Not(Each(-99.0F)));
}

TEST_P(Collection, gives_gradients_of_weights_in_means_where_every_table_is_frozen) {
  static constexpr float rows[6] = {1, 2, 3, 4, 5, 6};
  embedding_bag_collection collection({from_pretrained("frozen", {rows, dtype::f32, 3, 2})},
                                      {{"a", "frozen", pooling_mode::mean}}, resources_);
  small_batch batch(*device_, collection, {{{0, 2}, {0, 2}}});
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
  const std::vector<float> g = exact_numbers(2, 0);  // the output's gradient
  EXPECT_THAT(batch.weight_gradient(0),
              ElementsAre((g[0] * 1 + g[1] * 2) / 2, (g[0] * 5 + g[1] * 6) / 2));
}

TEST_P(Collection, keeps_the_padding_row_of_pretrained_weights) {
  static constexpr float rows[4] = {1, 2, 3, 4};
  table_config config = from_pretrained("t", {rows, dtype::f32, 2, 2}, false);
  config.padding_idx = 0;
  embedding_bag_collection collection({config}, {{"f", "t"}}, resources_);
  small_batch batch(*device_, collection, {{{0, 1}, {0, 2}}});
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(3, 4));
  EXPECT_THAT(contents(collection, collection.weight(0)), ElementsAreArray(rows));
}

TEST_P(Collection, resumes_from_step_states) {
  auto collection = make();
  step_state state = collection.step_of(1);
  state.step = 10;
  state.beta1_power = 0.25;
  state.beta2_power = 0.5;
  state.learning_rate = 3.0F;
  collection.set_step(1, state);
  EXPECT_EQ(collection.step_of(0).step, 0U);
  EXPECT_EQ(collection.step_of(1).step, 10U);
  EXPECT_EQ(collection.step_of(1).beta2_power, 0.5);
  EXPECT_EQ(collection.step_of(1).learning_rate, 3.0F);
  collection.set_learning_rate(0.5F);
  EXPECT_EQ(collection.step_of(0).learning_rate, 0.5F);
  EXPECT_EQ(collection.step_of(1).learning_rate, 0.5F);
  EXPECT_EQ(collection.step_of(1).step, 10U);
}

TEST_P(Collection, copies_strided_views) {
  auto collection = make();
  tensor_view columns = collection.weight(1);
  columns.dim = 2;  // the first two of four columns
  const std::vector<float> written = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const auto before = contents(collection, collection.weight(1));
  collection.copy_from_host(written.data(), columns);
  EXPECT_EQ(contents(collection, columns), written);
  const auto after = contents(collection, collection.weight(1));
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::size_t row = i / 4;
    EXPECT_EQ(after[i], i % 4 < 2 ? written[row * 2 + i % 4] : before[i]) << i;
  }
}

TEST_P(Collection, trains_on_after_a_move) {
  auto source = make();
  auto reference = make();
  embedding_bag_collection moved(std::move(source));
  auto assigned = make();
  assigned = std::move(moved);
  for (embedding_bag_collection* collection : {&assigned, &reference}) {
    auto batch = batch_of(*collection);
    collection->forward(batch.bags, batch.outputs);
    collection->backward(batch.bags, batch.output_gradients);
  }
  EXPECT_EQ(snapshot(assigned), snapshot(reference));
}

TEST_P(Collection, reserves_room_so_that_forward_needs_none) {
  auto collection = make();
  auto batch = batch_of(collection);
  collection.reserve(batch.bags);
  const std::size_t bytes = collection.workspace_bytes();
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients);
  EXPECT_EQ(collection.workspace_bytes(), bytes);
}

TEST_P(Collection, answers_what_it_is_made_of) {
  auto collection = make();
  EXPECT_EQ(collection.num_tables(), 2U);
  EXPECT_EQ(collection.num_features(), 4U);
  EXPECT_EQ(collection.table_index("user"), 1U);
  EXPECT_EQ(collection.feature(2).name, "history");
  EXPECT_EQ(collection.options().seed, 7U);
  EXPECT_EQ(collection.get_resources().where, resources_.where);
  EXPECT_EQ(collection.bad_ids(), 0);
  EXPECT_THROW(collection.table_index("nobody"), invalid_argument);
  EXPECT_THROW(collection.config(2), invalid_argument);
  EXPECT_THROW(collection.feature(4), invalid_argument);
  EXPECT_THROW(collection.weight(2), invalid_argument);
  EXPECT_THROW(collection.state(0, 2), invalid_argument);
}

TEST_P(Collection, counts_bad_ids_under_skip_and_zero) {
  for (const bad_id_policy policy : {bad_id_policy::skip, bad_id_policy::zero}) {
    static constexpr float rows[2] = {2, 4};
    embedding_bag_collection collection({from_pretrained("t", {rows, dtype::f32, 2, 1}, false)},
                                        {{"f", "t", pooling_mode::mean}}, resources_,
                                        {.policy = policy});
    small_batch batch(*device_, collection, {{{0, 9, 1, -1}, {0, 2, 4}}});
    collection.forward(batch.bags, batch.outputs);
    collection.check();
    if (policy == bad_id_policy::skip) {
      EXPECT_THAT(batch.output(0), ElementsAre(2, 4));
    } else {
      EXPECT_THAT(batch.output(0), ElementsAre(1, 2));
    }
    EXPECT_EQ(collection.bad_ids(), 2);
    collection.forward(batch.bags, batch.outputs);
    EXPECT_EQ(collection.bad_ids(), 4);
  }
}

TEST_P(Collection, takes_interleaved_outputs_of_one_matrix) {
  auto collection = make();
  auto batch = batch_of(collection);
  collection.forward(batch.bags, batch.outputs);
  device_array<float> joined(*device_, std::vector<float>(3 * 14));
  std::vector<tensor_view> outputs = batch.outputs;
  outputs[0] = {joined.data(), dtype::f32, 3, 5, 14};
  outputs[1] = {joined.data() + 5, dtype::f32, 3, 4, 14};
  outputs[2] = {joined.data() + 9, dtype::f32, 3, 5, 14};
  collection.forward(batch.bags, outputs);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t j = 0; j < 5; ++j) {
      EXPECT_EQ(joined.values()[row * 14 + 9 + j], batch.output(2)[row * 5 + j]);
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(Collection);

}  // namespace
}  // namespace warpbag::support
