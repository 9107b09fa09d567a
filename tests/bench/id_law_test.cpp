// SPDX-License-Identifier: Apache-2.0
#include "bench/id_law.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "warpbag/error.hpp"

namespace warpbag::bench {
namespace {

constexpr std::uint64_t seed = 3;

std::vector<std::int64_t> draw(std::int64_t rows, id_law law, double alpha, std::size_t bags,
                               std::size_t hotness) {
  id_source source(rows, law, alpha, seed, 0);
  std::vector<std::int64_t> ids(bags * hotness);
  for (std::size_t bag = 0; bag < bags; ++bag) {
    source.draw(std::span(ids).subspan(bag * hotness, hotness));
  }
  return ids;
}

/// How often each row was drawn, the most frequent first.
std::vector<double> shares(const std::vector<std::int64_t>& ids) {
  std::map<std::int64_t, double> counts;
  for (const std::int64_t id : ids) counts[id] += 1.0;
  std::vector<double> sorted;
  for (const auto& [id, count] : counts) {
    sorted.push_back(count / static_cast<double>(ids.size()));
  }
  std::sort(sorted.rbegin(), sorted.rend());
  return sorted;
}

TEST(IdLaw, ids_are_rows_of_the_table) {
  for (const id_law law : {id_law::uniform, id_law::power_law, id_law::zipf, id_law::all_equal}) {
    for (const std::int64_t rows : {1, 2, 7, 1000}) {
      for (const std::int64_t id : draw(rows, law, 1.2, 500, 1)) {
        ASSERT_GE(id, 0);
        ASSERT_LT(id, rows);
      }
    }
  }
}

TEST(IdLaw, uniform_draws_every_row_as_often) {
  const std::vector<double> found = shares(draw(10, id_law::uniform, 0.0, 100'000, 1));
  ASSERT_EQ(found.size(), 10U);
  // A count has a deviation of 95; five of them.
  for (const double share : found) EXPECT_NEAR(share, 0.1, 5 * 95e-5);
}

TEST(IdLaw, power_law_has_the_integral_of_its_density) {
  // On [1, 11), density x^-1.15: the share of [k, k + 1).
  const auto mass = [](double from, double to) {
    return std::pow(from, -0.15) - std::pow(to, -0.15);
  };
  const std::vector<double> found = shares(draw(10, id_law::power_law, 1.15, 100'000, 1));
  ASSERT_EQ(found.size(), 10U);
  for (std::size_t k = 0; k < found.size(); ++k) {
    const double from = static_cast<double>(k + 1);
    EXPECT_NEAR(found[k], mass(from, from + 1) / mass(1, 11), 0.008) << k;
  }
}

TEST(IdLaw, zipf_is_unbounded_and_wraps) {
  // P(x) = x^-2 / zeta(2) on all x; row 0 of 3 stands for x = 1, 4, 7, ...
  double sums[3] = {};
  for (int x = 1; x < 3'000'000; ++x) sums[(x - 1) % 3] += 1.0 / (double(x) * double(x));
  const double zeta = 1.6449340668482264;
  const std::vector<double> found = shares(draw(3, id_law::zipf, 2.0, 100'000, 1));
  ASSERT_EQ(found.size(), 3U);
  for (std::size_t row = 0; row < 3; ++row) EXPECT_NEAR(found[row], sums[row] / zeta, 0.008);
}

TEST(IdLaw, all_equal_is_one_row) {
  EXPECT_EQ(shares(draw(100, id_law::all_equal, 0.0, 50, 3)).size(), 1U);
}

TEST(IdLaw, bags_of_power_law_and_zipf_hold_distinct_ids) {
  for (const id_law law : {id_law::power_law, id_law::zipf}) {
    // The steepest law leaves hardly any row but the first.
    for (const double alpha : {1.05, 9.0}) {
      const std::vector<std::int64_t> ids = draw(20, law, alpha, 5, 20);
      for (std::size_t bag = 0; bag < 5; ++bag) {
        const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(bag * 20);
        EXPECT_EQ(std::set<std::int64_t>(begin, begin + 20).size(), 20U);
      }
    }
  }
}

TEST(IdLaw, features_of_a_seed_draw_different_ids_and_the_same_each_time) {
  id_source first(1000, id_law::power_law, 1.1, seed, 0);
  id_source again(1000, id_law::power_law, 1.1, seed, 0);
  id_source other(1000, id_law::power_law, 1.1, seed, 1);
  std::vector<std::int64_t> a(50);
  std::vector<std::int64_t> b(50);
  std::vector<std::int64_t> c(50);
  first.draw(a);
  again.draw(b);
  other.draw(c);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(IdLaw, refuses_what_a_law_has_not) {
  EXPECT_THROW(id_source(10, id_law::zipf, 1.0, seed, 0), invalid_argument);
  EXPECT_THROW(id_source(10, id_law::power_law, -0.1, seed, 0), invalid_argument);
  EXPECT_THROW(id_source(10, id_law::power_law, std::nan(""), seed, 0), invalid_argument);
  EXPECT_THROW(draw(5, id_law::zipf, 1.2, 1, 6), invalid_argument);
}

}  // namespace
}  // namespace warpbag::bench
