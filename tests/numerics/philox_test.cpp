// SPDX-License-Identifier: Apache-2.0
#include "numerics/philox.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace warpbag::numerics {
namespace {

struct known_answer {
  std::array<std::uint32_t, 4> counter;
  std::uint64_t key;
  std::array<std::uint32_t, 4> expected;
};

/// Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, gives_the_known_answers) {
  const known_answer answers[] = {
      {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       0xffffffffffffffff,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       0x299f31d0a4093822,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const known_answer& answer : answers) {
    const philox_block block = philox4x32_10(
        {{answer.counter[0], answer.counter[1], answer.counter[2], answer.counter[3]}}, answer.key);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], answer.expected[i]);
  }
}

TEST(RandomWord, differs_in_every_part_of_its_key) {
  std::set<std::uint32_t> words;
  const auto add = [&](std::uint64_t seed, random_use use, std::uint32_t table, std::uint64_t row,
                       std::uint32_t column, std::uint64_t step) {
    return words.insert(random_word(seed, use, table, row, column, step)).second;
  };
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3, 4, 5));
  EXPECT_FALSE(add(1, random_use::rounding, 2, 3, 4, 5));
  EXPECT_TRUE(add(1ULL + (1ULL << 40), random_use::rounding, 2, 3, 4, 5));
  EXPECT_TRUE(add(1, random_use::initialisation, 2, 3, 4, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 3, 3, 4, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3 + (1ULL << 32), 4, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3 + (1ULL << 47), 4, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3, 5, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3, 8191, 5));
  EXPECT_TRUE(add(1, random_use::rounding, 2, 3, 4, 6));
}

TEST(RandomWord, is_a_word_of_its_group_of_four_columns) {
  const philox_block block = random_words(9, random_use::data, 1, 2, 3, 4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(random_word(9, random_use::data, 1, 2, 12 + i, 4), block.word[i]);
  }
}

TEST(UnitInterval, stays_strictly_inside_and_is_symmetric) {
  EXPECT_EQ(unit_interval(0), 0x1p-33);
  EXPECT_EQ(unit_interval(0xFFFFFFFFU), 1.0 - 0x1p-33);
  EXPECT_EQ(unit_interval(0x7FFFFFFFU) + unit_interval(0x80000000U), 1.0);
}

}  // namespace
}  // namespace warpbag::numerics
