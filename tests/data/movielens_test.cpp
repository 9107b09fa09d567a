// SPDX-License-Identifier: Apache-2.0
// The real MovieLens-100k, where scripts/fetch_movielens has put it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "warpbag/dataset.hpp"

namespace warpbag {
namespace {

TEST(MovieLens100k, reads_as_documented) {
  const std::filesystem::path file = WARPBAG_MOVIELENS_FILE;
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  const dataset samples = detect_reader(file).read(file, {});
  EXPECT_EQ(samples.num_samples(), 100000);
  EXPECT_EQ(samples.num_skipped_rows(), 0);
  EXPECT_EQ(samples.tables()[0].num_ids, 943);
  EXPECT_EQ(samples.tables()[1].num_ids, 1682);
  // Ratings 4 and 5: 34,174 + 21,201 (the counts in the data set's README and literature).
  EXPECT_EQ(std::count(samples.labels().begin(), samples.labels().end(), 1.0F), 55375);
  const std::size_t history = samples.feature_index("history");
  const std::size_t genres = samples.feature_index("class");
  std::int64_t num_history_items = 0;
  std::int64_t num_without_genre = 0;
  for (std::int64_t sample = 0; sample < samples.num_samples(); ++sample) {
    num_history_items += static_cast<std::int64_t>(samples.bag(history, sample).size());
    num_without_genre += samples.bag(genres, sample).empty();
  }
  // Every user has at least 20 ratings: the first 20 of each have histories of 0 ... 19 items, 190
  // together, the others 20.
  EXPECT_EQ(num_history_items, 943 * 190 + (100000 - 943 * 20) * 20);
  EXPECT_LT(num_without_genre, 100);
  EXPECT_EQ(samples.tables()[samples.features()[samples.feature_index("gender")].table].num_ids, 2);
}

}  // namespace
}  // namespace warpbag
