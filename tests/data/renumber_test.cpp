// SPDX-License-Identifier: Apache-2.0
#include "data/renumber.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "warpbag/error.hpp"

namespace warpbag::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

dataset_table table_of(const char* name, std::initializer_list<const char*> tokens) {
  dataset_table table;
  table.name = name;
  for (const char* const token : tokens) table.vocabulary.id_of(token);
  table.num_ids = table.vocabulary.size();
  return table;
}

// Users ann bob ann; weighted bags of items that overlap: {x y z}, {y z}, {}; buckets 1 0 1.
dataset other_file() {
  dataset_parts parts;
  parts.tables = {
      table_of("user", {"ann", "bob"}), table_of("item", {"x", "y", "z"}), {"bucket", 2, {}}};
  parts.features = {
      {"user", 0, false, false}, {"seen", 1, true, true}, {"bucket", 2, false, false}};
  parts.columns = {{{0, 1, 0}, {}, {}, {}},
                   {{0, 1, 2}, {0, 1, 3}, {3, 2, 0}, {0.5F, 1.0F, 2.0F}},
                   {{1, 0, 1}, {}, {}, {}}};
  parts.labels = {1.0F, 0.0F, 1.0F};
  parts.timestamps = {3.0, 4.0, 5.0};
  parts.num_skipped_rows = 7;
  return dataset(std::move(parts));
}

// The model's order is another one, and it knows bob, z and x but neither ann nor y.
std::vector<dataset_table> model_tables() {
  return {table_of("item", {"w", "z", "x"}), {"bucket", 9, {}}, table_of("user", {"cid", "bob"})};
}
const std::vector<dataset_feature> model_features = {
    {"bucket", 1, false, false}, {"seen", 0, true, true}, {"user", 2, false, false}};

TEST(Renumber, gives_tokens_the_ids_and_features_the_places_of_the_model) {
  const renumbered_dataset out = renumber(other_file(), model_tables(), model_features);
  const dataset& samples = out.samples;
  EXPECT_EQ(samples.features()[1].name, "seen");
  EXPECT_THAT(samples.bag(0, 0), ElementsAre(1));
  EXPECT_THAT(samples.bag(0, 1), ElementsAre(0));
  EXPECT_THAT(samples.bag(1, 0), ElementsAre(2, 1));
  EXPECT_THAT(samples.bag_weights(1, 0), ElementsAre(0.5F, 2.0F));
  EXPECT_THAT(samples.bag(1, 1), ElementsAre(1));
  EXPECT_THAT(samples.bag_weights(1, 1), ElementsAre(2.0F));
  EXPECT_THAT(samples.bag(1, 2), IsEmpty());
  EXPECT_THAT(samples.bag(2, 1), ElementsAre(1));
  EXPECT_EQ(samples.tables()[1].num_ids, 9);
  EXPECT_THAT(samples.labels(), ElementsAre(1.0F, 0.0F, 1.0F));
  EXPECT_THAT(samples.timestamps(), ElementsAre(3.0, 4.0, 5.0));
  EXPECT_EQ(samples.num_skipped_rows(), 7);
}

TEST(Renumber, empties_bags_of_cold_tokens_and_counts_every_lookup_of_one) {
  const renumbered_dataset out = renumber(other_file(), model_tables(), model_features);
  EXPECT_THAT(out.samples.bag(2, 0), IsEmpty());
  EXPECT_THAT(out.samples.bag(2, 2), IsEmpty());
  // y is stored once but lies in two bags; ann is two samples' user.
  EXPECT_THAT(out.cold_lookups, ElementsAre(0, 2, 2));
}

TEST(Renumber, changes_nothing_when_the_ids_agree) {
  const dataset same = other_file();
  const renumbered_dataset out = renumber(other_file(), same.tables(), same.features());
  EXPECT_THAT(out.cold_lookups, ElementsAre(0, 0, 0));
  for (std::size_t f = 0; f < same.features().size(); ++f) {
    for (std::int64_t i = 0; i < same.num_samples(); ++i) {
      const auto ids = same.bag(f, i);
      EXPECT_THAT(out.samples.bag(f, i), ::testing::ElementsAreArray(ids.begin(), ids.end()));
    }
  }
}

TEST(Renumber, refuses_features_and_tables_that_do_not_fit) {
  const auto fault_of = [](const std::vector<dataset_table>& tables,
                           const std::vector<dataset_feature>& features) -> std::string {
    try {
      renumber(other_file(), tables, features);
    } catch (const invalid_argument& problem) {
      return problem.what();
    }
    return "accepted";
  };
  auto fewer = model_features;
  fewer.pop_back();
  EXPECT_THAT(fault_of(model_tables(), fewer), HasSubstr("'user': the data have it"));
  auto more = model_features;
  more.push_back({"genre", 0, true, false});
  EXPECT_THAT(fault_of(model_tables(), more), HasSubstr("'genre': the model has it"));
  auto computed = model_tables();
  computed[2] = {"user", 2, {}};
  EXPECT_THAT(fault_of(computed, model_features), HasSubstr("'user'"));
}

}  // namespace
}  // namespace warpbag::data
