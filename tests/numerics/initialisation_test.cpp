// SPDX-License-Identifier: Apache-2.0
#include "numerics/initialisation.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace warpbag::numerics {
namespace {

constexpr std::uint32_t last_word = 0xFFFFFFFFU;

TEST(InitialValue, is_zero_for_zero) { EXPECT_EQ(initial_value(init_kind::zero, 3.0F, 77U), 0.0F); }

TEST(InitialValue, is_symmetric_and_strictly_within_the_scale_for_uniform) {
  EXPECT_EQ(initial_value(init_kind::uniform, 0.5F, 0U),
            -initial_value(init_kind::uniform, 0.5F, last_word));
  EXPECT_EQ(initial_value(init_kind::uniform, 1.0F, 0x80000000U), 0x1p-32F);
  EXPECT_LE(std::fabs(initial_value(init_kind::uniform, 0.5F, last_word)), 0.5F);
}

TEST(InitialValue, is_the_scaled_quantile_for_normal) {
  const float x = initial_value(init_kind::normal, 0.25F, 0x12345678U);
  EXPECT_EQ(x, static_cast<float>(normal_quantile(unit_interval(0x12345678U)) * 0.25));
  EXPECT_NEAR(initial_value(init_kind::normal, 1.0F, 0U), -6.339F, 0.01F);
}

/// Mean, variance and fourth moment of n draws against those of the normal, within 5 standard
/// deviations: 1 / sqrt(n), sqrt(2 / n) and sqrt(96 / n).
TEST(InitialValue, has_the_moments_of_the_normal) {
  const int n = 400000;
  double first = 0.0;
  double second = 0.0;
  double fourth = 0.0;
  for (int i = 0; i < n; ++i) {
    const std::uint32_t word =
        random_word(5, random_use::initialisation, 1, static_cast<std::uint64_t>(i / 16),
                    static_cast<std::uint32_t>(i % 16), 0);
    const double x = static_cast<double>(initial_value(init_kind::normal, 1.0F, word));
    first += x;
    second += x * x;
    fourth += x * x * x * x;
  }
  const double root = std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(first / n, 0.0, 5.0 / root);
  EXPECT_NEAR(second / n, 1.0, 5.0 * std::sqrt(2.0) / root);
  EXPECT_NEAR(fourth / n, 3.0, 5.0 * std::sqrt(96.0) / root);
}

}  // namespace
}  // namespace warpbag::numerics
