// SPDX-License-Identifier: Apache-2.0
#include "numerics/elementary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/random_source.hpp"

namespace warpbag::numerics {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double bound = 1e-14;  // elementary.hpp promises it

double relative_error(double actual, long double exact) {
  return static_cast<double>(std::fabs((static_cast<long double>(actual) - exact) / exact));
}

TEST(Exponential, is_within_its_bound) {
  support::random_source random(1);
  double worst = 0.0;
  for (int i = 0; i < 300000; ++i) {
    const double x = (random.unit() - 0.5) * (i % 2 == 0 ? 2.0 : 1414.0);
    worst = std::max(worst, relative_error(exponential(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, bound);
}

TEST(Exponential, knows_its_special_values) {
  EXPECT_EQ(exponential(0.0), 1.0);
  EXPECT_EQ(exponential(710.0), infinite);
  EXPECT_EQ(exponential(infinite), infinite);
  EXPECT_EQ(exponential(-infinite), 0.0);
  EXPECT_TRUE(std::isnan(exponential(not_a_number)));
}

TEST(Logarithm, is_within_its_bound) {
  support::random_source random(2);
  double worst = 0.0;
  for (int i = 0; i < 300000; ++i) {
    const double x =
        i % 2 == 0 ? std::ldexp(1.0 + random.unit(), static_cast<int>(random.below(2040)) - 1020)
                   : 0.5 + random.unit();
    worst = std::max(worst, relative_error(logarithm(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, bound);
}

TEST(Logarithm, knows_its_special_values) {
  EXPECT_EQ(logarithm(1.0), 0.0);
  EXPECT_EQ(logarithm(0.0), -infinite);
  EXPECT_EQ(logarithm(infinite), infinite);
  EXPECT_TRUE(std::isnan(logarithm(-1.0)));
  EXPECT_TRUE(std::isnan(logarithm(not_a_number)));
}

/// What max_norm needs: |x|^p and the root, for fp32 x; the result is then rounded to fp32.
TEST(Power, rounds_to_the_right_float_or_its_neighbour) {
  support::random_source random(3);
  double worst = 0.0;
  for (int i = 0; i < 300000; ++i) {
    const double x = std::ldexp(1.0 + random.unit(), static_cast<int>(random.below(200)) - 100);
    const double p = random.pick({0.5, 1.0 / 3.0, 3.0, 1.5, 2.25, 2.0});
    const long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(p));
    worst = std::max(worst, relative_error(power(x, p), exact));
  }
  EXPECT_LT(worst, 0x1p-25) << "half an ulp of fp32 beside the rounding itself";
  EXPECT_LT(worst, 1e-13);
}

TEST(Power, knows_its_special_values) {
  EXPECT_EQ(power(0.0, 0.0), 1.0);
  EXPECT_EQ(power(1.0, infinite), 1.0);
  EXPECT_EQ(power(0.0, 3.0), 0.0);
  EXPECT_EQ(power(0.0, -3.0), infinite);
  EXPECT_EQ(power(infinite, 2.0), infinite);
  EXPECT_TRUE(std::isnan(power(not_a_number, 2.0)));
}

TEST(Sigmoid, is_within_its_bound_and_never_overflows) {
  support::random_source random(4);
  double worst = 0.0;
  for (int i = 0; i < 100000; ++i) {
    const double x = (random.unit() - 0.5) * 200.0;
    const long double exact = 1.0L / (1.0L + std::exp(-static_cast<long double>(x)));
    worst = std::max(worst, relative_error(sigmoid(x), exact));
  }
  EXPECT_LT(worst, bound);
  EXPECT_EQ(sigmoid(0.0), 0.5);
  EXPECT_EQ(sigmoid(1000.0), 1.0);
  EXPECT_EQ(sigmoid(-1000.0), 0.0);
  EXPECT_EQ(sigmoid(infinite), 1.0);
  EXPECT_EQ(sigmoid(-infinite), 0.0);
  EXPECT_TRUE(std::isnan(sigmoid(not_a_number)));
}

TEST(Softplus, is_within_its_bound_and_never_overflows) {
  support::random_source random(5);
  for (int i = 0; i < 100000; ++i) {
    const double x = (random.unit() - 0.5) * 200.0;
    const long double exact = std::log1p(std::exp(static_cast<long double>(x)));
    // 1 + e^x loses up to 2^-53 of the 1: an absolute error of 1e-16 besides the relative one.
    ASSERT_LT(std::fabs(static_cast<double>(softplus(x) - exact)),
              bound * static_cast<double>(exact) + 3e-16)
        << x;
  }
  EXPECT_EQ(softplus(1000.0), 1000.0);
  EXPECT_EQ(softplus(-1000.0), 0.0);
  EXPECT_TRUE(std::isnan(softplus(not_a_number)));
}

TEST(NormalQuantile, has_its_known_values) {
  // Standard normal quantiles, as tabulated with 16 digits (R: qnorm).
  const double known[][2] = {{0.5, 0.0},
                             {0.75, 0.6744897501960817},
                             {0.9, 1.2815515655446004},
                             {0.975, 1.959963984540054},
                             {0.99, 2.3263478740408408},
                             {0.999, 3.090232306167813},
                             {0.0001, -3.7190164854556804},
                             {1e-6, -4.753424308822899},
                             {1e-10, -6.361340902404056},
                             {0.025, -1.959963984540054}};
  for (const auto& [p, z] : known)
    EXPECT_NEAR(normal_quantile(p), z, 2e-14 * (1.0 + std::fabs(z))) << p;
}

TEST(NormalQuantile, inverts_the_distribution_function) {
  support::random_source random(6);
  for (int i = 0; i < 100000; ++i) {
    const double p = i % 3 == 0
                         ? std::ldexp(1.0 + random.unit(), -static_cast<int>(random.below(33)) - 2)
                         : 0x1p-33 + random.unit() * (1.0 - 0x1p-32);
    const long double z = static_cast<long double>(normal_quantile(p));
    const long double back = std::erfc(-z / std::sqrt(2.0L)) / 2.0L;
    // dp / p = z dz for small p: the relative error of p is the absolute one of z times |z| + 1.
    ASSERT_LT(std::fabs(static_cast<double>((back - p) / p)), 4e-14) << p;
  }
}

TEST(NormalQuantile, rises_and_is_odd_where_its_pieces_meet) {
  for (const double p : {0.075, 0.0749999999999, 0.0750000000001, 1.3887943864964e-11}) {
    EXPECT_LT(normal_quantile(p * (1 - 1e-9)), normal_quantile(p));
    EXPECT_LT(normal_quantile(p), normal_quantile(p * (1 + 1e-9)));
  }
  EXPECT_EQ(normal_quantile(0.25), -normal_quantile(0.75));
}

}  // namespace
}  // namespace warpbag::numerics
