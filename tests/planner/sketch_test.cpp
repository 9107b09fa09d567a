// SPDX-License-Identifier: Apache-2.0
// Expected distinct rows and heavy hitters, of laws and of sketches, against drawn ids.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "planner/case_size.hpp"
#include "planner/zipf.hpp"
#include "warpbag/error.hpp"
#include "warpbag/id_sketch.hpp"

namespace warpbag {
namespace {

using support::random_source;
using support::zipf_ids;

constexpr std::int64_t num_rows = 1'000'000;

std::vector<std::int64_t> draw(const zipf_ids& law, random_source& random, std::int64_t count) {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(law.draw(random));
  return ids;
}

double distinct_in(std::vector<std::int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  return static_cast<double>(std::unique(ids.begin(), ids.end()) - ids.begin());
}

/// Of these exponents the ones that the build has time for.
std::vector<double> laws(std::vector<double> exponents) {
  if (support::small_cases) exponents.resize(1);
  return exponents;
}

TEST(IdDistribution, of_a_law_is_the_sum_over_its_rows) {
  for (const double alpha : {0.0, 0.5, 1.0, 1.3}) {
    for (const std::int64_t rows : {1, 7, 300, 20'000}) {
      double total = 0.0;
      for (std::int64_t k = 1; k <= rows; ++k) total += std::pow(static_cast<double>(k), -alpha);
      const id_distribution law = id_distribution::power_law(rows, alpha);
      for (const double lookups : {1.0, 10.0, 1e3, 1e5}) {
        double expected = 0.0;
        for (std::int64_t k = 1; k <= rows; ++k) {
          const double share = std::pow(static_cast<double>(k), -alpha) / total;
          expected += 1.0 - std::pow(1.0 - share, lookups);
        }
        EXPECT_NEAR(law.distinct(lookups), expected, 1e-3 * expected)
            << alpha << ' ' << rows << ' ' << lookups;
      }
      EXPECT_NEAR(law.heavy_hitters().front().share, 1.0 / total, 1e-4 / total);
    }
  }
}

TEST(IdDistribution, has_limits) {
  const id_distribution law = id_distribution::power_law(std::int64_t{1} << 40, 1.05);
  EXPECT_EQ(law.distinct(0.0), 0.0);
  EXPECT_LE(law.distinct(1.0), 1.0);
  EXPECT_NEAR(law.distinct(1.0), 1.0, 1e-3);
  EXPECT_LE(id_distribution::power_law(10, 0.0).distinct(1e9), 10.0);
  EXPECT_THROW(static_cast<void>(id_distribution::power_law(0, 1.0)), invalid_argument);
  EXPECT_THROW(static_cast<void>(id_distribution::power_law(5, -0.1)), invalid_argument);
  EXPECT_THROW(static_cast<void>(id_distribution::power_law(5, std::nan(""))), invalid_argument);
}

TEST(IdSketch, predicts_distinct_rows_of_batches_within_2_percent) {
  random_source random(20);
  for (const double alpha : laws({0.8, 1.05, 1.2})) {
    const zipf_ids law(num_rows, alpha);
    id_sketch sketch(num_rows);
    sketch.add(draw(law, random, 400'000));
    const id_distribution seen = sketch.distribution();
    const id_distribution exact = id_distribution::power_law(num_rows, alpha);
    for (const std::int64_t lookups : {2'000, 40'000, 160'000}) {
      double counted = 0.0;
      constexpr int batches = support::full_or_small(8, 2);
      for (int i = 0; i < batches; ++i)
        counted += distinct_in(draw(law, random, lookups)) / batches;
      EXPECT_NEAR(seen.distinct(static_cast<double>(lookups)), counted, 0.02 * counted)
          << alpha << ' ' << lookups;
      EXPECT_NEAR(exact.distinct(static_cast<double>(lookups)), counted, 0.02 * counted)
          << alpha << ' ' << lookups;
    }
  }
}

TEST(IdSketch, goes_on_beyond_what_it_was_fed) {
  random_source random(21);
  for (const double alpha : laws({0.0, 0.8, 1.2})) {
    const zipf_ids law(num_rows, alpha);
    id_sketch sketch(num_rows);
    sketch.add(draw(law, random, 200'000));
    const double counted = distinct_in(draw(law, random, 1'600'000));
    EXPECT_NEAR(sketch.distribution().distinct(1.6e6), counted, 0.05 * counted) << alpha;
  }
}

TEST(IdSketch, of_a_small_table_is_exact) {
  id_sketch sketch(100);
  sketch.add(std::vector<std::int32_t>{5, 5, 5, 5, 9, 9, 2, -1, 100});
  EXPECT_EQ(sketch.num_lookups(), 7);
  const id_distribution seen = sketch.distribution();
  EXPECT_DOUBLE_EQ(seen.distinct(7), 3.0);
  const std::vector<heavy_hitter> heavy = {{5, 4.0 / 7.0}, {9, 2.0 / 7.0}, {2, 1.0 / 7.0}};
  EXPECT_EQ(seen.heavy_hitters(), heavy);
  EXPECT_DOUBLE_EQ(seen.distinct_of(7, std::span(heavy).first(2)), 2.0);
}

TEST(IdSketch, finds_the_heavy_hitters) {
  random_source random(22);
  const zipf_ids law(num_rows, 1.05);
  const std::vector<std::int64_t> ids = draw(law, random, 1'000'000);
  id_sketch sketch(num_rows);
  sketch.add(ids);
  const id_distribution seen = sketch.distribution();
  const id_distribution exact = id_distribution::power_law(num_rows, 1.05);
  // Rank 100 has a share of 0.05 %, ten times what the counters resolve.
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t id : ids) ++counts[id];
  ASSERT_GE(seen.heavy_hitters().size(), 100U);
  std::set<std::int64_t> hottest;
  for (std::size_t i = 0; i < 100; ++i) {
    const heavy_hitter& row = seen.heavy_hitters()[i];
    hottest.insert(row.id);
    const double counted = static_cast<double>(counts[row.id]) / 1e6;
    EXPECT_NEAR(row.share, counted, 0.02 * counted) << row.id;
  }
  for (std::int64_t id = 0; id < 80; ++id) EXPECT_TRUE(hottest.contains(id)) << id;
  const auto hottest_100 = [](const id_distribution& law_or_sketch) {
    return law_or_sketch.distinct_of(2000, std::span(law_or_sketch.heavy_hitters()).first(100));
  };
  EXPECT_NEAR(hottest_100(seen), hottest_100(exact), 2.0);
}

TEST(IdSketch, refuses_what_it_cannot_be) {
  EXPECT_THROW(id_sketch(0), invalid_argument);
  EXPECT_THROW(static_cast<void>(id_sketch(5).distribution()), invalid_argument);
}

}  // namespace
}  // namespace warpbag
