// SPDX-License-Identifier: Apache-2.0
// The whole machine on generated data: it learns, and learns the same on any number of threads.
#include "model/factorization_machine.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <string>

#include "model/batch_pipeline.hpp"
#include "model/machine_tables.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/error.hpp"
#include "warpbag/generator.hpp"

namespace warpbag::model {
namespace {

dataset small_dataset() {
  generator_options options;
  options.num_samples = 3000;
  options.num_users = 40;
  options.num_items = 30;
  options.history_length = 5;
  return generate_dataset(options).samples;
}

machine_options small_machine() {
  machine_options options;
  options.dim = 6;
  options.optimizer.kind = optimizer_kind::adagrad;
  options.optimizer.learning_rate = 0.1F;
  return options;
}

std::vector<std::int64_t> all_of(const dataset& samples) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < samples.num_samples(); ++i) all.push_back(i);
  return all;
}

/// Trains some steps and returns every parameter and optimizer state, as a checkpoint's bytes.
std::string trained(factorization_machine& machine, const dataset& samples) {
  const batch_loader loader(samples, all_of(samples), {128, true, 7});
  batch_pipeline pipeline(machine, batch_work::train, [](const batch_slot&) {});
  for (std::int64_t step = 0; step < 30; ++step) pipeline.enqueue(loader, step);
  pipeline.drain();
  const testing::temporary_folder folder;
  machine.save(folder.path() / "machine", {});
  std::ifstream in(folder.path() / "machine", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string trained_on(const dataset& samples, int threads) {
  const auto device = make_cpu_model_device(threads);
  factorization_machine machine(make_machine_config(samples, small_machine()), *device);
  return trained(machine, samples);
}

TEST(FactorizationMachine, has_two_tables_for_each_id_space_and_a_bias) {
  const machine_config machine = make_machine_config(small_dataset(), small_machine());
  const std::vector<table_config> tables = machine_tables(machine);
  ASSERT_EQ(tables.size(), 5U);
  EXPECT_EQ(tables[0].name, "user.vector");
  EXPECT_EQ(tables[0].num_embeddings, 40);
  EXPECT_EQ(tables[0].embedding_dim, 6);
  EXPECT_EQ(tables[3].name, "item.linear");
  EXPECT_EQ(tables[3].num_embeddings, 30);
  EXPECT_EQ(tables[3].embedding_dim, 1);
  EXPECT_EQ(tables[4].name, "bias");
  EXPECT_EQ(tables[4].num_embeddings, 1);
  // user, item and history, twice, and the bias; the history reads the items' table.
  const std::vector<feature_config> features = machine_features(machine);
  ASSERT_EQ(features.size(), 7U);
  EXPECT_EQ(features[2].name, "history.vector");
  EXPECT_EQ(features[2].table, "item.vector");
  EXPECT_EQ(features[2].mode, pooling_mode::mean);
}

TEST(FactorizationMachine, learns_the_planted_model) {
  const dataset samples = small_dataset();
  const auto device = make_cpu_model_device(2);
  factorization_machine machine(make_machine_config(samples, small_machine()), *device);
  const std::vector<std::int64_t> all = all_of(samples);
  const evaluation before = evaluate(machine, samples, all, 500);
  EXPECT_NEAR(before.loss, std::log(2.0), 0.02);
  const batch_loader loader(samples, all, {128, true, 7});
  batch_pipeline pipeline(machine, batch_work::train, [](const batch_slot&) {});
  for (std::int64_t step = 0; step < 10 * loader.steps_per_epoch(); ++step) {
    pipeline.enqueue(loader, step);
  }
  pipeline.drain();
  const evaluation after = evaluate(machine, samples, all, 500);
  EXPECT_EQ(after.samples, 3000);
  EXPECT_LT(after.loss, before.loss - 0.1);
  EXPECT_GT(after.auc, 0.75);
}

TEST(FactorizationMachine, has_the_same_weights_on_any_number_of_threads) {
  const dataset samples = small_dataset();
  const std::string one = trained_on(samples, 1);
  for (const int threads : {2, 3}) EXPECT_TRUE(one == trained_on(samples, threads)) << threads;
}

TEST(FactorizationMachine, evaluates_to_the_same_in_batches_of_any_size) {
  const dataset samples = small_dataset();
  const auto device = make_cpu_model_device(1);
  factorization_machine machine(make_machine_config(samples, small_machine()), *device);
  const evaluation whole = evaluate(machine, samples, all_of(samples), 3000);
  const evaluation parts = evaluate(machine, samples, all_of(samples), 77);
  EXPECT_EQ(whole.loss, parts.loss);
  EXPECT_EQ(whole.auc, parts.auc);
}

TEST(FactorizationMachine, throws_for_ids_beyond_max_rows) {
  const dataset samples = small_dataset();
  machine_options options = small_machine();
  options.max_rows = 10;
  const auto device = make_cpu_model_device(1);
  factorization_machine strict(make_machine_config(samples, options), *device);
  EXPECT_THROW(evaluate(strict, samples, all_of(samples), 100), id_out_of_range);
  factorization_machine lenient(make_machine_config(samples, options), *device,
                                bad_id_policy::skip);
  EXPECT_EQ(evaluate(lenient, samples, all_of(samples), 100).samples, 3000);
  EXPECT_GT(lenient.bad_ids(), 0);
}

TEST(MachineConfig, refuses_what_cannot_be) {
  const dataset samples = small_dataset();
  machine_options options = small_machine();
  options.dim = 0;
  EXPECT_THROW(make_machine_config(samples, options), invalid_argument);
  options = small_machine();
  options.pooling["user"] = pooling_mode::mean;  // one id per sample
  EXPECT_THROW(make_machine_config(samples, options), invalid_argument);
  options = small_machine();
  options.pooling["nothing"] = pooling_mode::mean;
  EXPECT_THROW(make_machine_config(samples, options), invalid_argument);
  options = small_machine();
  options.pooling["history"] = pooling_mode::none;
  EXPECT_THROW(make_machine_config(samples, options), invalid_argument);
}

}  // namespace
}  // namespace warpbag::model
