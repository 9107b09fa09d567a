// SPDX-License-Identifier: Apache-2.0
// The pieces that every reader is made of: lines, fields, comma-separated values.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "data/csv_line.hpp"
#include "data/fields.hpp"
#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/error.hpp"

namespace warpbag::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using warpbag::testing::temporary_folder;

std::vector<std::string> lines_of(std::string_view bytes) {
  const temporary_folder folder;
  line_reader lines(folder.write("file", bytes));
  std::vector<std::string> out;
  std::string_view line;
  while (lines.next(line)) {
    out.emplace_back(line);
    EXPECT_EQ(lines.line_number(), static_cast<std::int64_t>(out.size()));
  }
  EXPECT_FALSE(lines.next(line));
  return out;
}

TEST(LineReader, takes_either_line_end_and_none_at_the_end) {
  EXPECT_THAT(lines_of(""), IsEmpty());
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of("a\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("a\r\nb\r\n"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("a\r\n\r\nb\r"), ElementsAre("a", "", "b"));
  EXPECT_THAT(lines_of("a\rb\n"), ElementsAre("a\rb"));
}

TEST(LineReader, drops_a_byte_order_mark_on_line_1_only) {
  EXPECT_THAT(lines_of("\xEF\xBB\xBF"
                       "a\n\xEF\xBB\xBF"
                       "b\n"),
              ElementsAre("a",
                          "\xEF\xBB\xBF"
                          "b"));
}

// Lines of all lengths up to some pieces of a read, so that ends fall everywhere on their borders.
TEST(LineReader, puts_lines_together_across_reads) {
  std::string bytes;
  std::vector<std::string> expected;
  for (std::size_t k = 0; k < 40; ++k) {
    expected.emplace_back(k * 99991, static_cast<char>('a' + k % 26));
    bytes += expected.back() + "\n";
  }
  EXPECT_EQ(lines_of(bytes), expected);
}

TEST(LineReader, takes_the_longest_line_and_refuses_a_longer_one) {
  const std::string longest(line_reader::max_line_bytes, 'x');
  EXPECT_THAT(lines_of(longest + "\ny\n"), ElementsAre(longest, "y"));
  const temporary_folder folder;
  line_reader lines(folder.write("file", "ok\n" + longest + longest + "\n"));
  std::string_view line;
  ASSERT_TRUE(lines.next(line));
  try {
    lines.next(line);
    FAIL();
  } catch (const parse_error& problem) {
    EXPECT_EQ(problem.line(), 2);
  }
}

TEST(LineReader, names_a_file_that_it_cannot_read) {
  try {
    line_reader lines("/no/such/file");
    FAIL();
  } catch (const io_error& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("/no/such/file"));
  }
  const temporary_folder folder;
  line_reader lines(folder.path());
  std::string_view line;
  EXPECT_THROW(lines.next(line), io_error);
}

TEST(Fields, split_at_every_separator) {
  std::vector<std::string_view> fields;
  split("a::b::", "::", fields);
  EXPECT_THAT(fields, ElementsAre("a", "b", ""));
  split("", "\t", fields);
  EXPECT_THAT(fields, ElementsAre(""));
}

TEST(Fields, split_exactly_counts) {
  std::array<std::string_view, 2> fields;
  split_exactly("a\tb", "\t", fields);
  EXPECT_THAT(fields, ElementsAre("a", "b"));
  EXPECT_THROW(split_exactly("a", "\t", fields), malformed_row);
  EXPECT_THROW(split_exactly("a\tb\tc", "\t", fields), malformed_row);
}

TEST(Fields, parse_number_takes_finite_decimals_only) {
  EXPECT_EQ(parse_number("-3.5", "n"), -3.5);
  EXPECT_EQ(parse_number("+4", "n"), 4.0);
  EXPECT_EQ(parse_number("8.8e8", "n"), 8.8e8);
  for (const char* text : {"", "+", "-", "+-1", "++1", "1 ", " 1", "1.2.3", "0x10", "nan", "inf",
                           "-infinity", "1e999", "1,5", "x"}) {
    EXPECT_THROW(parse_number(text, "n"), malformed_row) << text;
  }
}

TEST(Fields, parse_integer_takes_64_bits) {
  EXPECT_EQ(parse_integer("9223372036854775807", "n"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_integer("-9223372036854775808", "n"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_integer("+7", "n"), 7);
  for (const char* text : {"", "9223372036854775808", "-9223372036854775809", "1.0", "1e3", "a"}) {
    EXPECT_THROW(parse_integer(text, "n"), malformed_row) << text;
  }
}

TEST(Fields, parse_token_takes_any_bytes_up_to_a_length) {
  const std::string longest(max_token_bytes, '\xFF');
  EXPECT_EQ(parse_token(longest, "t"), longest);
  EXPECT_THROW(parse_token(longest + "x", "t"), malformed_row);
  EXPECT_THROW(parse_token("", "t"), malformed_row);
}

TEST(MalformedRow, shows_the_text_printably_and_cut) {
  EXPECT_STREQ(malformed_row("bad", "a\tb\xFF").what(), "bad: 'a\\x09b\\xff'");
  const std::string what = malformed_row("bad", std::string(1000000, 'x')).what();
  EXPECT_LT(what.size(), 200U);
  EXPECT_THAT(what, HasSubstr("(1000000 bytes)"));
}

std::vector<std::string> csv_fields(std::string_view text) {
  csv_line line;
  line.parse(text);
  return {line.fields().begin(), line.fields().end()};
}

TEST(CsvLine, undoes_quotes) {
  EXPECT_THAT(csv_fields("1,a,"), ElementsAre("1", "a", ""));
  EXPECT_THAT(csv_fields("1,\"a, b\",2"), ElementsAre("1", "a, b", "2"));
  EXPECT_THAT(csv_fields("\"say \"\"hi\"\"\",\"\",\"\"\"\""), ElementsAre("say \"hi\"", "", "\""));
  EXPECT_THAT(csv_fields("\"a\","), ElementsAre("a", ""));
}

TEST(CsvLine, refuses_broken_quotes) {
  for (const char* text : {"\"a", "\"a\"b", "a\"b", "1,\"a\"\"", "\""}) {
    EXPECT_THROW(csv_fields(text), malformed_row) << text;
  }
}

}  // namespace
}  // namespace warpbag::data
