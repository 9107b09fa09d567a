// SPDX-License-Identifier: Apache-2.0
#include "warpbag/token_vocabulary.hpp"

#include <gtest/gtest.h>

#include <string>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

TEST(TokenVocabulary, numbers_tokens_by_first_appearance) {
  token_vocabulary tokens;
  EXPECT_EQ(tokens.id_of("b"), 0U);
  EXPECT_EQ(tokens.id_of("a"), 1U);
  EXPECT_EQ(tokens.id_of("b"), 0U);
  EXPECT_EQ(tokens.size(), 2);
  EXPECT_EQ(tokens.token(0), "b");
  EXPECT_EQ(tokens.token(1), "a");
}

TEST(TokenVocabulary, finds_only_what_was_added) {
  token_vocabulary tokens;
  EXPECT_EQ(tokens.find("a"), token_vocabulary::not_found);
  tokens.id_of("a");
  EXPECT_EQ(tokens.find("a"), 0U);
  EXPECT_EQ(tokens.find("b"), token_vocabulary::not_found);
  EXPECT_EQ(tokens.size(), 1);
}

TEST(TokenVocabulary, counts_every_byte_of_a_token) {
  token_vocabulary tokens;
  const std::string with_zero("a\0", 2);
  EXPECT_EQ(tokens.id_of("a"), 0U);
  EXPECT_EQ(tokens.id_of(with_zero), 1U);
  EXPECT_EQ(tokens.id_of("\xFF"), 2U);
  EXPECT_EQ(tokens.id_of(""), 3U);
  EXPECT_EQ(tokens.id_of("12345678"), 4U);
  EXPECT_EQ(tokens.id_of("123456789"), 5U);
  EXPECT_EQ(tokens.token(1), with_zero);
  EXPECT_EQ(tokens.token(3), "");
}

TEST(TokenVocabulary, keeps_ids_when_it_grows) {
  token_vocabulary tokens;
  constexpr std::uint32_t count = 100000;
  for (std::uint32_t id = 0; id < count; ++id) {
    ASSERT_EQ(tokens.id_of("token " + std::to_string(id)), id);
  }
  for (std::uint32_t id = 0; id < count; ++id) {
    ASSERT_EQ(tokens.find("token " + std::to_string(id)), id);
    ASSERT_EQ(tokens.token(id), "token " + std::to_string(id));
  }
}

TEST(TokenVocabulary, refuses_an_id_that_it_does_not_have) {
  token_vocabulary tokens;
  EXPECT_THROW(tokens.token(0), invalid_argument);
  tokens.id_of("a");
  EXPECT_THROW(tokens.token(1), invalid_argument);
  EXPECT_THROW(tokens.token(token_vocabulary::not_found), invalid_argument);
}

}  // namespace
}  // namespace warpbag
