// SPDX-License-Identifier: Apache-2.0
// What holds for every reader: each format with each way a file can be odd or broken.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"
#include "warpbag/dataset.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::HasSubstr;
using warpbag::testing::temporary_folder;

struct bad_line {
  std::string text;
  std::string message;  // is in what()
};

struct format_case {
  std::string format;
  std::string header;  // with its line end; empty: none
  std::vector<std::string> good;
  std::vector<bad_line> bad;
};

void PrintTo(const format_case& one, std::ostream* out) { *out << one.format; }

std::string criteo_line(const std::string& label, const std::string& counts,
                        const std::string& categories) {
  std::string line = label;
  for (int k = 0; k < 13; ++k) line += "\t" + counts;
  for (int k = 0; k < 26; ++k) line += "\t" + categories;
  return line;
}

const std::string too_long(2000, 'u');

std::vector<bad_line> bad_ratings(const std::string& separator) {
  const auto line = [&](const std::string& user, const std::string& item, const std::string& rating,
                        const std::string& time) {
    std::string out = user;
    for (const std::string& field : {item, rating, time}) out += separator + field;
    return out;
  };
  return {{line("1", "2", "x", "4"), "'x'"},
          {line("1", "2", "nan", "4"), "'nan'"},
          {line("1", "2", "1e999", "4"), "'1e999'"},
          {line("1", "2", "", "4"), "rating"},
          {line("1", "2", "3", "yesterday"), "'yesterday'"},
          {line("1", "2", "3", "inf"), "'inf'"},
          {line("", "2", "3", "4"), "missing"},
          {line("1", "", "3", "4"), "missing"},
          {line(too_long, "2", "3", "4"), "2000 bytes"},
          {line("1", "2", "3", "4") + separator + "5", "4"},
          {"garbage", "'garbage'"},
          {"\xFF\xFE", "'\\xff\\xfe'"}};
}

std::vector<format_case> all_formats() {
  return {
      {"u.data", "", {"1\t10\t5\t100", "1\t11\t-1.5\t-101", "\xE9\t10\t4\t99"}, bad_ratings("\t")},
      {"ratings.dat", "", {"1::10::5::100", "1::11::2::101", "\xE9::10::4::99"}, bad_ratings("::")},
      {"ratings.csv",
       "userId,movieId,rating,timestamp\n",
       {"1,10,5.0,100", "\"1\",\"11\",2,101", "\xE9,10,4,99"},
       bad_ratings(",")},
      {"inter",
       "user_id:token\titem_id:token\trating:float\ttimestamp:float\n",
       {"1\t10\t5\t100", "1\t11\t2\t8.8e8", "\xE9\t10\t4\t99"},
       bad_ratings("\t")},
      {"criteo",
       "",
       {criteo_line("1", "3", "05db9164"), criteo_line("0", "", ""),
        criteo_line("0", "-2", "FFffFFff")},
       {{criteo_line("2", "3", "05db9164"), "label"},
        {criteo_line("", "3", "05db9164"), "label"},
        {criteo_line("1", "x", "05db9164"), "'x'"},
        {criteo_line("1", "1.5", "05db9164"), "'1.5'"},
        {criteo_line("1", "9223372036854775808", "05db9164"), "range"},
        {criteo_line("1", "3", "05db9164a"), "05db9164a"},
        {criteo_line("1", "3", "0x12"), "0x12"},
        {criteo_line("1", "3", "\xFF"), "\\xff"},
        {criteo_line("1", "3", too_long), "2000 bytes"},
        {criteo_line("1", "3", "1") + "\t", "40 fields"},
        {"garbage", "'garbage'"}}},
      {"libsvm",
       "",
       {"+1 3:0.5 7:1 # why", "-1", "0 3:-1e-3"},
       {{"2 3:1", "'2'"},
        {"1 3", "'3'"},
        {"1 3:", "value"},
        {"1 3:x", "'x'"},
        {"1 3:1e39", "'1e39'"},
        {"1 3:nan", "'nan'"},
        {"1 -3:1", "'-3'"},
        {"1 9223372036854775808:1", "range"},
        {"1 1:3:1", "'1:3:1'"},
        {"\xFF 3:1", "\\xff"},
        {"1 3:" + too_long, "2000 bytes"},
        {"garbage", "'garbage'"}}},
      {"libffm",
       "",
       {"1 0:3:0.5 2:7:1", "0 2:9:1 2:8:1", "0"},
       {{"2 0:3:1", "'2'"},
        {"1 3:1", "'3:1'"},
        {"1 0:3:", "value"},
        {"1 -1:3:1", "'-1'"},
        {"1 4294967296:3:1", "field"},
        {"1 0:-3:1", "'-3'"},
        {"1 0:3:x", "'x'"},
        {"1 0:3:1e39", "'1e39'"},
        {"1 0:3:" + too_long, "2000 bytes"},
        {"\xFF 0:3:1", "\\xff"},
        {"garbage", "'garbage'"}}}};
}

class EveryReader : public ::testing::TestWithParam<format_case> {
 protected:
  dataset read(const std::string& bytes, bad_row_policy policy = bad_row_policy::error) const {
    read_options options;
    options.on_bad_row = policy;
    return reader_of_format(GetParam().format).read(folder_.write("file", bytes), options);
  }

  std::string good_file(const std::string& line_end = "\n") const {
    std::string bytes = GetParam().header;
    for (const std::string& line : GetParam().good) bytes += line + line_end;
    return bytes;
  }

  temporary_folder folder_;
};

TEST_P(EveryReader, reads_good_lines) {
  const dataset samples = read(good_file());
  EXPECT_EQ(samples.num_samples(), static_cast<std::int64_t>(GetParam().good.size()));
  EXPECT_EQ(samples.num_skipped_rows(), 0);
  EXPECT_EQ(samples.labels()[0], 1.0F);
  EXPECT_EQ(samples.labels()[1], 0.0F);
}

TEST_P(EveryReader, does_not_care_how_lines_end) {
  const std::string plain = good_file();
  const std::uint64_t expected = read(plain).fingerprint();
  EXPECT_EQ(read(plain.substr(0, plain.size() - 1)).fingerprint(), expected) << "no last line end";
  EXPECT_EQ(read(good_file("\r\n")).fingerprint(), expected) << "CRLF";
  EXPECT_EQ(read(good_file("\n\n\r\n")).fingerprint(), expected) << "blank lines";
  EXPECT_EQ(read("\xEF\xBB\xBF" + plain).fingerprint(), expected) << "byte order mark";
}

TEST_P(EveryReader, names_the_file_the_line_and_the_text_of_a_malformed_line) {
  const std::int64_t line = GetParam().header.empty() ? 4 : 5;
  for (const bad_line& bad : GetParam().bad) {
    try {
      read(good_file() + bad.text + "\n" + GetParam().good[0] + "\n");
      ADD_FAILURE() << bad.text << " was taken";
    } catch (const parse_error& problem) {
      EXPECT_EQ(problem.line(), line) << bad.text;
      EXPECT_EQ(problem.file(), (folder_.path() / "file").string());
      EXPECT_THAT(problem.what(), HasSubstr(":" + std::to_string(line) + ": "));
      EXPECT_THAT(problem.what(), HasSubstr(bad.message));
    }
  }
}

TEST_P(EveryReader, leaves_malformed_lines_out_when_told_to_and_keeps_nothing_of_them) {
  const std::uint64_t expected = read(good_file()).fingerprint();
  std::string bytes = GetParam().header;
  for (const bad_line& bad : GetParam().bad) bytes += bad.text + "\n";
  for (const std::string& line : GetParam().good) bytes += line + "\n";
  const dataset samples = read(bytes, bad_row_policy::skip);
  EXPECT_EQ(samples.num_skipped_rows(), static_cast<std::int64_t>(GetParam().bad.size()));
  EXPECT_EQ(samples.fingerprint(), expected);
}

TEST_P(EveryReader, refuses_a_file_without_a_sample) {
  EXPECT_THROW(read(""), parse_error);
  EXPECT_THROW(read("\n\n"), parse_error);
  EXPECT_THROW(read(GetParam().header), parse_error);
  EXPECT_THROW(read(GetParam().header + "garbage\n", bad_row_policy::skip), parse_error);
}

TEST_P(EveryReader, refuses_a_missing_file_and_a_folder) {
  const dataset_reader& reader = reader_of_format(GetParam().format);
  EXPECT_THROW(reader.read(folder_.path() / "absent", {}), io_error);
  EXPECT_THROW(reader.read(folder_.path(), {}), io_error);
}

TEST_P(EveryReader, is_found_by_the_first_line) {
  const auto file = folder_.write("data.txt", good_file());
  EXPECT_EQ(detect_reader(file).format(), GetParam().format);
  EXPECT_EQ(detect_reader(folder_.write("data.txt", good_file("\r\n"))).format(),
            GetParam().format);
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryReader, ::testing::ValuesIn(all_formats()),
                         [](const auto& case_info) {
                           std::string name = case_info.param.format;
                           for (char& c : name) {
                             if (c == '.') c = '_';
                           }
                           return name;
                         });

TEST(Readers, are_all_in_the_matrix) { EXPECT_EQ(dataset_readers().size(), all_formats().size()); }

TEST(Readers, are_found_by_name_whatever_the_content) {
  const temporary_folder folder;
  const std::pair<const char*, const char*> names[] = {
      {"u.data", "u.data"},       {"ratings.dat", "ratings.dat"}, {"ratings.csv", "ratings.csv"},
      {"ml-100k.inter", "inter"}, {"a9a.libsvm", "libsvm"},       {"a9a.svm", "libsvm"},
      {"day.libffm", "libffm"},   {"day.ffm", "libffm"}};
  for (const auto& [name, format] : names) {
    EXPECT_EQ(detect_reader(folder.write(name, "garbage")).format(), format) << name;
  }
}

TEST(Readers, say_which_formats_there_are_when_asked_for_another) {
  try {
    reader_of_format("parquet");
    FAIL();
  } catch (const invalid_argument& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("'parquet'"));
    EXPECT_THAT(problem.what(), HasSubstr("ratings.csv"));
  }
}

TEST(Readers, are_not_found_for_unknown_or_empty_files) {
  const temporary_folder folder;
  EXPECT_THROW(detect_reader(folder.write("a", "garbage\n")), invalid_argument);
  EXPECT_THROW(detect_reader(folder.write("a", "1\n")), invalid_argument);
  EXPECT_THROW(detect_reader(folder.write("u.data", "")), parse_error);
  EXPECT_THROW(detect_reader(folder.path() / "absent"), io_error);
}

TEST(Readers, refuse_options_outside_their_domain) {
  const temporary_folder folder;
  const auto file = folder.write("u.data", "1\t2\t3\t4\n");
  read_options options;
  options.history_length = -1;
  EXPECT_THROW(reader_of_format("u.data").read(file, options), invalid_argument);
  options = {};
  options.label_threshold = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(reader_of_format("u.data").read(file, options), invalid_argument);
}

}  // namespace
}  // namespace warpbag
