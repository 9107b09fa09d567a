// SPDX-License-Identifier: Apache-2.0
#include "numerics/float_formats.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/random_source.hpp"

namespace warpbag::numerics {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A format by its definition: sign, exponent with `bias`, `fraction_bits`.
template <typename Stored>
struct definition;
template <>
struct definition<f16> {
  static constexpr int fraction_bits = 10;
  static constexpr int bias = 15;
};
template <>
struct definition<bf16> {
  static constexpr int fraction_bits = 7;
  static constexpr int bias = 127;
};

template <typename Stored>
double value_of(std::uint16_t bits) {
  constexpr int fraction_bits = definition<Stored>::fraction_bits;
  const int exponent = (bits & 0x7FFF) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == (0x7FFF >> fraction_bits)) {
    return fraction == 0 ? sign * static_cast<double>(infinity)
                         : std::numeric_limits<double>::quiet_NaN();
  }
  const int scale = 1 - definition<Stored>::bias - fraction_bits;
  if (exponent == 0) return sign * std::ldexp(fraction, scale);
  return sign * std::ldexp(fraction + (1 << fraction_bits), scale + exponent - 1);
}

template <typename Stored>
class FloatFormat : public ::testing::Test {};
using stored_formats = ::testing::Types<f16, bf16>;
TYPED_TEST_SUITE(FloatFormat, stored_formats);

TYPED_TEST(FloatFormat, widens_every_pattern_to_its_value) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const double expected = value_of<TypeParam>(pattern);
    const float actual = widen(TypeParam{pattern});
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(actual)) << std::hex << bits;
    } else {
      ASSERT_EQ(expected, static_cast<double>(actual)) << std::hex << bits;
      ASSERT_EQ(std::signbit(expected), std::signbit(actual)) << std::hex << bits;
    }
  }
}

TYPED_TEST(FloatFormat, narrows_every_widened_pattern_back) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const TypeParam stored{static_cast<std::uint16_t>(bits)};
    const float wide = widen(stored);
    const TypeParam back = narrow<TypeParam>(wide);
    const TypeParam stochastic = narrow_stochastic<TypeParam>(wide, 0xFFFFFFFFU);
    if (std::isnan(wide)) {
      ASSERT_TRUE(std::isnan(widen(back))) << std::hex << bits;
      ASSERT_TRUE(std::isnan(widen(stochastic))) << std::hex << bits;
    } else {
      ASSERT_EQ(back.bits, stored.bits);
      ASSERT_EQ(stochastic.bits, stored.bits) << "a value of the format is never moved";
    }
  }
}

/// Around every border between two neighbours: just below it, on it and just above it.
TYPED_TEST(FloatFormat, rounds_to_nearest_and_ties_to_even) {
  constexpr std::uint16_t infinite = definition<TypeParam>::bias == 15 ? 0x7C00 : 0x7F80;
  for (std::uint16_t low = 0; low < infinite; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const double below = value_of<TypeParam>(low);
    // Past the last finite number the rule goes on as if the next power of two were there.
    const double last_place = below - value_of<TypeParam>(static_cast<std::uint16_t>(low - 1));
    const double above = high == infinite ? below + last_place : value_of<TypeParam>(high);
    const auto border = static_cast<float>((below + above) / 2);
    ASSERT_EQ(narrow<TypeParam>(std::nextafter(border, 0.0F)).bits, low);
    ASSERT_EQ(narrow<TypeParam>(std::nextafter(border, infinity)).bits, high);
    ASSERT_EQ(narrow<TypeParam>(border).bits, low % 2 == 0 ? low : high);
    ASSERT_EQ(narrow<TypeParam>(-border).bits, (low % 2 == 0 ? low : high) | 0x8000);
  }
}

TEST(F16, equals_the_compilers_half_for_random_bit_patterns) {
  support::random_source random(1);
  for (int i = 0; i < 2000000; ++i) {
    const float x = bits_as<float>(static_cast<std::uint32_t>(random.word()));
    const float expected = static_cast<float>(static_cast<_Float16>(x));
    const float actual = widen(narrow<f16>(x));
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(actual));
    } else {
      ASSERT_EQ(bits_as<std::uint32_t>(expected), bits_as<std::uint32_t>(actual)) << x;
    }
  }
}

TEST(F16, has_its_known_values) {
  EXPECT_EQ(narrow<f16>(1.0F).bits, 0x3C00);
  EXPECT_EQ(narrow<f16>(-2.0F).bits, 0xC000);
  EXPECT_EQ(narrow<f16>(65504.0F).bits, 0x7BFF);
  EXPECT_EQ(narrow<f16>(65519.996F).bits, 0x7BFF);
  EXPECT_EQ(narrow<f16>(65520.0F).bits, 0x7C00);
  EXPECT_EQ(narrow<f16>(0x1p-24F).bits, 0x0001);
  EXPECT_EQ(narrow<f16>(0x1p-25F).bits, 0x0000);
  EXPECT_EQ(narrow<f16>(-0x1.8p-25F).bits, 0x8001);
  EXPECT_EQ(narrow<f16>(1.0F / 3.0F).bits, 0x3555);
}

TEST(Bf16, has_its_known_values) {
  EXPECT_EQ(narrow<bf16>(1.0F).bits, 0x3F80);
  EXPECT_EQ(narrow<bf16>(3.14159274F).bits, 0x4049);
  EXPECT_EQ(narrow<bf16>(-infinity).bits, 0xFF80);
  EXPECT_EQ(narrow<bf16>(std::numeric_limits<float>::max()).bits, 0x7F80);
  EXPECT_EQ(narrow<bf16>(1e-45F).bits, 0x0000);
}

/// Counts every 16-bit (f16: 13-bit) random number: the share that rounds up is exact.
TEST(StochasticRounding, rounds_up_as_often_as_the_dropped_part_says) {
  const float low = 1.0F;
  for (const std::uint32_t dropped : {0U, 1U, 77U, 4096U, 8191U}) {
    const float x = bits_as<float>(bits_as<std::uint32_t>(low) + dropped);
    std::uint32_t ups = 0;
    for (std::uint32_t random = 0; random < 8192; ++random) {
      const std::uint16_t bits = narrow_stochastic<f16>(x, random).bits;
      ASSERT_TRUE(bits == 0x3C00 || bits == 0x3C01);
      ups += bits == 0x3C01 ? 1 : 0;
    }
    EXPECT_EQ(ups, dropped);
  }
  for (const std::uint32_t dropped : {0U, 1U, 40000U, 65535U}) {
    const float x = bits_as<float>(bits_as<std::uint32_t>(-low) + dropped);
    std::uint32_t ups = 0;
    for (std::uint32_t random = 0; random < 65536; ++random) {
      const std::uint16_t bits = narrow_stochastic<bf16>(x, random).bits;
      ASSERT_TRUE(bits == 0xBF80 || bits == 0xBF81);
      ups += bits == 0xBF81 ? 1 : 0;
    }
    EXPECT_EQ(ups, dropped);
  }
}

TEST(StochasticRounding, is_unbiased_for_subnormal_f16) {
  support::random_source random(2);
  const float x = 0.3F * 0x1p-24F;
  const int draws = 200000;
  int ups = 0;
  for (int i = 0; i < draws; ++i) {
    ups += narrow_stochastic<f16>(x, static_cast<std::uint32_t>(random.word())).bits == 1 ? 1 : 0;
  }
  const double deviation = 5.0 * std::sqrt(0.3 * 0.7 / draws);
  EXPECT_NEAR(static_cast<double>(ups) / draws, 0.3, deviation);
}

TEST(StochasticRounding, leaves_fp32_alone) {
  EXPECT_EQ(narrow_stochastic<float>(0.1F, 0xFFFFFFFFU), 0.1F);
  EXPECT_EQ(narrow<float>(0.1F), 0.1F);
}

}  // namespace
}  // namespace warpbag::numerics
