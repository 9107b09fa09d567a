// SPDX-License-Identifier: Apache-2.0
#include "numerics/lane_reduction.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "numerics/row_norm.hpp"
#include "support/random_source.hpp"

namespace warpbag::numerics {
namespace {

TEST(LaneOf, gives_four_neighbours_to_a_lane_and_starts_over_after_128) {
  EXPECT_EQ(lane_of(0), 0);
  EXPECT_EQ(lane_of(3), 0);
  EXPECT_EQ(lane_of(4), 1);
  EXPECT_EQ(lane_of(127), 31);
  EXPECT_EQ(lane_of(128), 0);
  EXPECT_EQ(lane_of(8191), 31);
}

/// What a warp does: every lane exchanges at every step, so that all of them end with the sum.
std::vector<float> shuffled_butterfly(std::vector<float> lanes) {
  for (std::size_t mask = 16; mask > 0; mask /= 2) {
    std::vector<float> next(32);
    for (std::size_t lane = 0; lane < 32; ++lane) next[lane] = lanes[lane] + lanes[lane ^ mask];
    lanes = next;
  }
  return lanes;
}

TEST(Butterfly, equals_every_lane_of_a_warps_shuffle) {
  support::random_source random(1);
  for (int repeat = 0; repeat < 1000; ++repeat) {
    std::vector<float> lanes(32);
    for (float& lane : lanes) lane = static_cast<float>(random.unit() - 0.5);
    float scalar[num_lanes];
    std::copy(lanes.begin(), lanes.end(), scalar);
    const float sum = butterfly(scalar, add_lanes{});
    for (const float lane : shuffled_butterfly(lanes)) ASSERT_EQ(lane, sum);
  }
}

/// The order, shown by numbers whose sum depends on it.
TEST(ReduceOverDim, adds_within_a_lane_before_it_adds_across_lanes) {
  const std::int64_t dim = 132;
  std::vector<float> x(static_cast<std::size_t>(dim), 0.0F);
  x[0] = 0x1p24F;     // lane 0
  x[1] = 1.0F;        // lane 0: lost
  x[128] = -0x1p24F;  // lane 0 again
  x[4] = 1.0F;        // lane 1: kept
  const float sum = reduce_over_dim(
      dim, [&](float acc, std::int64_t j) { return acc + x[static_cast<std::size_t>(j)]; });
  EXPECT_EQ(sum, 1.0F);
}

TEST(ReduceOverDim, is_zero_for_a_row_of_negative_zeros) {
  const float sum = reduce_over_dim(3, [](float acc, std::int64_t) { return acc + -0.0F; });
  EXPECT_EQ(bits_as<std::uint32_t>(sum), 0U);
}

TEST(MaxLanes, never_hides_a_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(max_lanes{}(nan, 1.0F)));
  EXPECT_TRUE(std::isnan(max_lanes{}(1.0F, nan)));
  EXPECT_EQ(max_lanes{}(1.0F, 2.0F), 2.0F);
}

float norm_of(const std::vector<float>& x, float p) {
  const norm_kind kind = norm_kind_of(p);
  float lanes[num_lanes] = {};
  for (std::size_t j = 0; j < x.size(); ++j) {
    float& lane = lanes[lane_of(static_cast<std::int64_t>(j))];
    lane = accumulate_norm(kind, p, lane, x[j]);
  }
  const auto combine = [kind](float a, float b) { return combine_norm(kind, a, b); };
  return finish_norm(kind, p, butterfly(lanes, combine));
}

TEST(RowNorm, agrees_with_the_definition_for_every_p) {
  support::random_source random(2);
  for (const std::size_t dim : {1U, 3U, 33U, 128U, 300U}) {
    std::vector<float> x(dim);
    for (float& element : x) element = static_cast<float>(random.unit() * 2.0 - 1.0);
    for (const float p : {0.5F, 1.0F, 2.0F, 3.0F}) {
      double sum = 0.0;
      for (const float element : x) sum += std::pow(std::fabs(static_cast<double>(element)), p);
      const double exact = std::pow(sum, 1.0 / static_cast<double>(p));
      // Fewer than dim + 2 roundings of the sum, magnified by 1 / p, and two more.
      const double bound = (static_cast<double>(dim + 2) / static_cast<double>(p) + 2) * 0x1p-24;
      EXPECT_NEAR(static_cast<double>(norm_of(x, p)) / exact, 1.0, bound) << dim << " " << p;
    }
    float largest = 0.0F;
    for (const float element : x) largest = std::max(largest, std::fabs(element));
    EXPECT_EQ(norm_of(x, std::numeric_limits<float>::infinity()), largest);
  }
}

TEST(RowNorm, is_exact_for_the_3_4_5_triangle) {
  EXPECT_EQ(norm_of({3.0F, -4.0F}, 2.0F), 5.0F);
  EXPECT_EQ(norm_of({3.0F, -4.0F}, 1.0F), 7.0F);
  EXPECT_EQ(norm_of({0.0F, 0.0F}, 0.5F), 0.0F);
}

TEST(MaxNormScale, is_one_unless_the_norm_is_over_the_limit) {
  EXPECT_EQ(max_norm_scale(1.0F, 1.0F), 1.0F);
  EXPECT_EQ(max_norm_scale(0.5F, 1.0F), 1.0F);
  EXPECT_EQ(max_norm_scale(2.0F, 1.0F), 1.0F / (2.0F + 1e-7F));
  EXPECT_EQ(max_norm_scale(std::numeric_limits<float>::quiet_NaN(), 1.0F), 1.0F);
}

}  // namespace
}  // namespace warpbag::numerics
