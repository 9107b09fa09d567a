// SPDX-License-Identifier: Apache-2.0
// The byte counts of operations, against counts by hand: each sum below is spelled out.
#include "operations/moved_bytes.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <vector>

namespace warpbag::operations {

void PrintTo(const moved_bytes& bytes, std::ostream* out) {
  *out << bytes.floor << ", logical " << bytes.logical;
}

namespace {

/// Three bags of two ids, from a table of 1000 rows of 4 elements.
class MovedBytes : public ::testing::Test {
 protected:
  MovedBytes() {
    table.num_rows = 1000;
    table.dim = 4;
    table.optimizer.kind = optimizer_kind::rowwise_adagrad;
    table.gradient.form = gradient_form::fused;
    feature.num_ids = 6;
    feature.num_bags = 3;
    feature.hotness = 2;
  }

  problem of_one_feature() {
    features = {feature};
    tables = {table};
    problem problem;
    problem.tables = tables;
    problem.features = features;
    problem.total_rows = table.num_rows;
    problem.total_positions = feature.num_ids;
    problem.total_bags = feature.num_bags;
    return problem;
  }

  table_record table;
  feature_record feature;
  std::vector<table_record> tables;
  std::vector<feature_record> features;
  const std::vector<std::int64_t> distinct = {5};
};

TEST_F(MovedBytes, of_pool_counts_ids_distinct_rows_and_outputs) {
  EXPECT_EQ(pool_bytes(of_one_feature(), distinct),
            (moved_bytes{6 * 8 + 5 * 16 + 3 * 16, 6 * 8 + 6 * 16 + 3 * 16}));
}

TEST_F(MovedBytes, of_pool_counts_offsets_weights_and_narrow_types) {
  const std::int32_t offsets[4] = {0, 1, 4, 6};
  const float weights[6] = {};
  feature.offsets = offsets;
  feature.has_last_offset = true;
  feature.weights = weights;
  table.row_type = dtype::f16;
  problem problem = of_one_feature();
  problem.ids_type = index_type::i32;
  problem.output_type = dtype::bf16;
  const double once = 6 * 4 + 4 * 4 + 6 * 4;
  EXPECT_EQ(pool_bytes(problem, distinct),
            (moved_bytes{once + 5 * 8 + 3 * 8, once + 6 * 8 + 3 * 8}));
}

TEST_F(MovedBytes, of_pool_counts_an_output_a_lookup_without_pooling_and_the_winners_of_max) {
  feature.mode = pooling_mode::none;
  EXPECT_EQ(pool_bytes(of_one_feature(), distinct),
            (moved_bytes{6 * 8 + 5 * 16 + 6 * 16, 6 * 8 + 6 * 16 + 6 * 16}));
  feature.mode = pooling_mode::max;
  EXPECT_EQ(pool_bytes(of_one_feature(), distinct),
            (moved_bytes{6 * 8 + 5 * 16 + 3 * 32, 6 * 8 + 6 * 16 + 3 * 32}));
}

TEST_F(MovedBytes, of_pool_counts_rows_that_two_features_share_once) {
  problem problem = of_one_feature();
  features = {feature, feature};
  problem.features = features;
  EXPECT_EQ(pool_bytes(problem, distinct),
            (moved_bytes{2 * 6 * 8 + 5 * 16 + 2 * 3 * 16, 2 * 6 * 8 + 2 * 6 * 16 + 2 * 3 * 16}));
}

TEST_F(MovedBytes, of_deduplicate_counts_passes_over_the_bits_of_rows) {
  // Rows below 1000 have 10 bits: two passes; each reads and writes 4 + 4 bytes.
  double bytes = 6 * 8 + 6 * 4 + 2 * 6 * 16 + 5 * 12;
  EXPECT_EQ(deduplicate_bytes(of_one_feature(), distinct), (moved_bytes{bytes, bytes}));
  table.num_rows = 256;  // 8 bits: one pass
  bytes = 6 * 8 + 6 * 4 + 6 * 16 + 5 * 12;
  EXPECT_EQ(deduplicate_bytes(of_one_feature(), distinct), (moved_bytes{bytes, bytes}));
  table.num_rows = (std::int64_t{1} << 32) + 1;  // 33 bits: keys of 8 bytes, five passes
  bytes = 6 * 8 + 6 * 8 + 5 * 6 * 24 + 5 * 12;
  EXPECT_EQ(deduplicate_bytes(of_one_feature(), distinct), (moved_bytes{bytes, bytes}));
}

TEST_F(MovedBytes, of_reduce_gradients_counts_rows_and_states_twice_when_fused) {
  const double runs = 6 * 4 + 5 * 12;
  // Row-wise Adagrad: 16 bytes of row and 4 of state, read and written.
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct),
            (moved_bytes{runs + 5 * 40 + 3 * 16, runs + 5 * 40 + 6 * 16}));
  table.optimizer.kind = optimizer_kind::adam;  // two states of 16 bytes
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct),
            (moved_bytes{runs + 5 * 96 + 3 * 16, runs + 5 * 96 + 6 * 16}));
  table.optimizer.kind = optimizer_kind::sgd;
  table.row_type = dtype::f16;
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct),
            (moved_bytes{runs + 5 * 16 + 3 * 16, runs + 5 * 16 + 6 * 16}));
}

TEST_F(MovedBytes, of_reduce_gradients_counts_what_each_form_writes) {
  const double runs = 6 * 4 + 5 * 12;
  table.gradient.form = gradient_form::sparse;
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct),
            (moved_bytes{runs + 5 * (8 + 16) + 3 * 16, runs + 5 * (8 + 16) + 6 * 16}));
  table.gradient.form = gradient_form::dense;
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct),
            (moved_bytes{runs + 1000 * 16 + 3 * 16, runs + 1000 * 16 + 6 * 16}));
  table.gradient.form = gradient_form::none;
  EXPECT_EQ(reduce_gradients_bytes(of_one_feature(), distinct), (moved_bytes{runs, runs}));
}

}  // namespace
}  // namespace warpbag::operations
