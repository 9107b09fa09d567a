// SPDX-License-Identifier: Apache-2.0
#include "model/auc.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "warpbag/error.hpp"

namespace warpbag::model {
namespace {

/// By the definition: over all pairs of a positive and a negative.
double auc_by_pairs(const std::vector<float>& scores, const std::vector<float>& labels) {
  double won = 0.0;
  double pairs = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (labels[i] < 0.5F || labels[j] > 0.5F) continue;
      pairs += 1.0;
      if (scores[i] > scores[j]) won += 1.0;
      if (scores[i] == scores[j]) won += 0.5;
    }
  }
  return won / pairs;
}

TEST(AreaUnderCurve, equals_the_count_of_pairs_with_many_ties) {
  constexpr unsigned seed = 20250807;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  for (const int distinct : {1, 2, 7, 1000000}) {
    for (int size = 2; size <= 200; size += 33) {
      std::vector<float> scores;
      std::vector<float> labels;
      for (int i = 0; i < size; ++i) {
        scores.push_back(static_cast<float>(random() % static_cast<unsigned>(distinct)) - 2.0F);
        labels.push_back(static_cast<float>(random() % 2));
      }
      labels[0] = 0.0F;
      labels[1] = 1.0F;
      EXPECT_EQ(area_under_curve(scores, labels), auc_by_pairs(scores, labels))
          << "seed " << seed << ", " << size << " samples, " << distinct << " scores";
    }
  }
}

TEST(AreaUnderCurve, is_one_for_a_perfect_order_and_zero_for_its_opposite) {
  const std::vector<float> labels = {0, 0, 1, 1};
  EXPECT_EQ(area_under_curve(std::vector<float>{-3, -1, 0, 9}, labels), 1.0);
  EXPECT_EQ(area_under_curve(std::vector<float>{9, 0, -1, -3}, labels), 0.0);
}

TEST(AreaUnderCurve, takes_both_zeros_as_equal) {
  EXPECT_EQ(area_under_curve(std::vector<float>{-0.0F, 0.0F}, std::vector<float>{1, 0}), 0.5);
}

TEST(AreaUnderCurve, is_nan_where_it_is_not_defined) {
  EXPECT_TRUE(std::isnan(area_under_curve(std::vector<float>{1, 2}, std::vector<float>{1, 1})));
  EXPECT_TRUE(std::isnan(area_under_curve({}, {})));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(area_under_curve(std::vector<float>{nan, 2}, std::vector<float>{1, 0})));
}

TEST(AreaUnderCurve, refuses_sizes_that_differ) {
  EXPECT_THROW(area_under_curve(std::vector<float>{1}, std::vector<float>{1, 0}), invalid_argument);
}

}  // namespace
}  // namespace warpbag::model
