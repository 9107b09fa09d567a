// SPDX-License-Identifier: Apache-2.0
#include "warpbag/dataset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Three samples: users 0 1 0, bags {4 3} {} {3 2} that overlap in memory, with weights.
dataset_parts small_parts() {
  dataset_parts parts;
  parts.tables.resize(2);
  parts.tables[0].name = "user";
  parts.tables[0].num_ids = 2;
  parts.tables[1].name = "item";
  parts.tables[1].num_ids = 5;
  parts.features = {{"user", 0, false, false}, {"bag", 1, true, true}};
  parts.columns = {{{0, 1, 0}, {}, {}, {}}, {{4, 3, 2}, {0, 2, 1}, {2, 0, 2}, {0.5F, 1.0F, 2.0F}}};
  parts.labels = {1.0F, 0.0F, 1.0F};
  return parts;
}

TEST(Dataset, gives_the_bag_of_a_sample) {
  const dataset samples(small_parts());
  EXPECT_THAT(samples.bag(0, 1), ElementsAre(1));
  EXPECT_THAT(samples.bag_weights(0, 1), IsEmpty());
  EXPECT_THAT(samples.bag(1, 0), ElementsAre(4, 3));
  EXPECT_THAT(samples.bag(1, 1), IsEmpty());
  EXPECT_THAT(samples.bag(1, 2), ElementsAre(3, 2));
  EXPECT_THAT(samples.bag_weights(1, 2), ElementsAre(1.0F, 2.0F));
}

TEST(Dataset, gathers_samples_in_the_order_asked_for) {
  const dataset samples(small_parts());
  batch out;
  samples.gather(std::vector<std::int64_t>{2, 1, 2, 0}, out);
  EXPECT_EQ(out.num_samples(), 4);
  EXPECT_THAT(out.labels, ElementsAre(1.0F, 0.0F, 1.0F, 1.0F));
  EXPECT_THAT(out.features[0].ids, ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(out.features[0].offsets, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(out.features[0].weights, IsEmpty());
  EXPECT_THAT(out.features[1].ids, ElementsAre(3, 2, 3, 2, 4, 3));
  EXPECT_THAT(out.features[1].offsets, ElementsAre(0, 2, 2, 4, 6));
  EXPECT_THAT(out.features[1].weights, ElementsAre(1.0F, 2.0F, 1.0F, 2.0F, 0.5F, 1.0F));
}

TEST(Dataset, forgets_the_last_batch_when_it_gathers_into_the_same_object) {
  const dataset samples(small_parts());
  batch out;
  samples.gather(std::vector<std::int64_t>{0, 2, 1}, out);
  samples.gather(std::vector<std::int64_t>{1}, out);
  EXPECT_EQ(out.num_samples(), 1);
  EXPECT_THAT(out.features[0].ids, ElementsAre(1));
  EXPECT_THAT(out.features[1].ids, IsEmpty());
  EXPECT_THAT(out.features[1].weights, IsEmpty());
  EXPECT_THAT(out.features[1].offsets, ElementsAre(0, 0));
}

TEST(Dataset, refuses_to_gather_a_sample_that_it_does_not_have) {
  const dataset samples(small_parts());
  batch out;
  EXPECT_THROW(samples.gather(std::vector<std::int64_t>{3}, out), invalid_argument);
  EXPECT_THROW(samples.gather(std::vector<std::int64_t>{-1}, out), invalid_argument);
}

TEST(Dataset, finds_features_by_name) {
  const dataset samples(small_parts());
  EXPECT_EQ(samples.feature_index("bag"), 1U);
  EXPECT_THROW(samples.feature_index("item"), invalid_argument);
}

struct bad_parts {
  const char* name;
  std::function<void(dataset_parts&)> spoil;
};

class DatasetOfBadParts : public ::testing::TestWithParam<bad_parts> {};

TEST_P(DatasetOfBadParts, is_refused) {
  dataset_parts parts = small_parts();
  GetParam().spoil(parts);
  EXPECT_THROW(dataset{std::move(parts)}, invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(
    Matrix, DatasetOfBadParts,
    ::testing::Values(
        bad_parts{"column_missing", [](auto& parts) { parts.columns.pop_back(); }},
        bad_parts{"no_such_table", [](auto& parts) { parts.features[0].table = 2; }},
        bad_parts{"id_outside_table", [](auto& parts) { parts.columns[1].ids[2] = 5; }},
        bad_parts{"id_missing", [](auto& parts) { parts.columns[0].ids.pop_back(); }},
        bad_parts{"single_hot_with_sizes",
                  [](auto& parts) {
                    parts.columns[0].sizes = {1, 1, 1};
                  }},
        bad_parts{"begin_missing", [](auto& parts) { parts.columns[1].begins.pop_back(); }},
        bad_parts{"bag_past_the_end", [](auto& parts) { parts.columns[1].sizes[2] = 3; }},
        bad_parts{"begin_past_the_end", [](auto& parts) { parts.columns[1].begins[1] = 4; }},
        bad_parts{"begin_wraps",
                  [](auto& parts) { parts.columns[1].begins[0] = ~std::uint64_t{0}; }},
        bad_parts{"weight_missing", [](auto& parts) { parts.columns[1].weights.pop_back(); }},
        bad_parts{"weights_unasked", [](auto& parts) { parts.features[1].weighted = false; }},
        bad_parts{"timestamp_missing",
                  [](auto& parts) {
                    parts.timestamps = {1.0, 2.0};
                  }},
        bad_parts{"label_of_a_half", [](auto& parts) { parts.labels[1] = 0.5F; }}),
    [](const auto& case_info) { return case_info.param.name; });

TEST(Dataset, names_the_feature_at_fault) {
  dataset_parts parts = small_parts();
  parts.columns[1].ids[0] = 99;
  try {
    const dataset samples(std::move(parts));
    FAIL();
  } catch (const invalid_argument& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("'bag'"));
  }
}

TEST(Dataset, has_a_fingerprint_that_changes_with_whatever_training_reads) {
  const std::uint64_t original = dataset(small_parts()).fingerprint();
  EXPECT_EQ(dataset(small_parts()).fingerprint(), original);
  const std::vector<std::function<void(dataset_parts&)>> changes = {
      [](auto& parts) { parts.tables[0].num_ids = 3; },
      [](auto& parts) { parts.features[1].name = "history"; },
      [](auto& parts) { parts.tables[1].vocabulary.id_of("film"); },
      [](auto& parts) {
        parts.timestamps = {1.0, 2.0, 3.0};
      },
      [](auto& parts) { parts.columns[0].ids[0] = 1; },
      [](auto& parts) { parts.columns[1].sizes[0] = 1; },
      [](auto& parts) { parts.columns[1].begins[1] = 1; },
      [](auto& parts) { parts.columns[1].weights[2] = 3.0F; },
      [](auto& parts) { std::swap(parts.labels[0], parts.labels[1]); }};
  for (const auto& change : changes) {
    dataset_parts parts = small_parts();
    change(parts);
    EXPECT_NE(dataset(std::move(parts)).fingerprint(), original);
  }
}

}  // namespace
}  // namespace warpbag
