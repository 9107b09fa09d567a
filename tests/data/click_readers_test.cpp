// SPDX-License-Identifier: Apache-2.0
// Criteo, libsvm and libffm.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/log_square_buckets.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/dataset.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using warpbag::testing::temporary_folder;

dataset read(const char* format, std::string_view bytes) {
  const temporary_folder folder;
  return reader_of_format(format).read(folder.write("file", bytes), {});
}

TEST(LogSquareBucket, keeps_small_values_apart) {
  EXPECT_EQ(data::log_square_bucket(std::numeric_limits<std::int64_t>::min()), 0U);
  EXPECT_EQ(data::log_square_bucket(-1), 0U);
  EXPECT_EQ(data::log_square_bucket(0), 1U);
  EXPECT_EQ(data::log_square_bucket(1), 2U);
  EXPECT_EQ(data::log_square_bucket(2), 3U);
  EXPECT_EQ(data::log_square_bucket(3), 4U);  // ln(3)^2 = 1.21
}

// Around each threshold e^sqrt(k), where the formula in extended precision is sure.
TEST(LogSquareBucket, is_the_floor_of_the_squared_logarithm) {
  for (int k = 1; k < data::num_log_square_buckets; ++k) {
    const auto threshold =
        static_cast<std::int64_t>(std::exp(std::sqrt(static_cast<long double>(k))));
    for (std::int64_t value = std::max<std::int64_t>(threshold - 2, 3); value <= threshold + 2;
         ++value) {
      if (value > std::numeric_limits<std::int32_t>::max()) continue;
      const long double ln = std::log(static_cast<long double>(value));
      ASSERT_EQ(data::log_square_bucket(value), 3U + static_cast<std::uint32_t>(ln * ln)) << value;
    }
  }
}

TEST(LogSquareBucket, ends_with_32_bits) {
  EXPECT_EQ(data::log_square_bucket(std::numeric_limits<std::int32_t>::max()),
            data::num_log_square_buckets - 1);
  EXPECT_EQ(data::log_square_bucket(std::numeric_limits<std::int64_t>::max()),
            data::num_log_square_buckets - 1);
}

TEST(CriteoReader, gives_39_single_hot_features) {
  std::string line = "1";
  for (int k = 1; k <= 13; ++k) line.append("\t").append(k == 4 ? "" : std::to_string(k));
  for (int k = 1; k <= 26; ++k) {
    line.append("\t");
    if (k != 5) line.append("000000").append(std::to_string(10 + k));
  }
  const dataset samples = read("criteo", line + "\n" + line + "\n");
  ASSERT_EQ(samples.features().size(), 39U);
  ASSERT_EQ(samples.tables().size(), 39U);
  EXPECT_EQ(samples.features()[0].name, "I1");
  EXPECT_EQ(samples.features()[13].name, "C1");
  EXPECT_EQ(samples.features()[38].name, "C26");
  EXPECT_EQ(samples.tables()[0].num_ids, 466);
  EXPECT_THAT(samples.bag(0, 0), ElementsAre(2));    // the count 1
  EXPECT_THAT(samples.bag(12, 0), ElementsAre(9));   // ln(13)^2 = 6.58
  EXPECT_THAT(samples.bag(3, 0), ElementsAre(465));  // missing
  EXPECT_EQ(samples.tables()[17].vocabulary.token(samples.bag(17, 0)[0]), "");
  EXPECT_EQ(samples.tables()[38].vocabulary.token(samples.bag(38, 1)[0]), "00000036");
  EXPECT_EQ(samples.tables()[38].num_ids, 1);
  EXPECT_THAT(samples.timestamps(), IsEmpty());
}

TEST(LibsvmReader, gives_one_weighted_bag) {
  const dataset samples = read("libsvm", "# header\n+1 7:0.5 3:2  # text\n-1\n1\t3:-1 007:1 \n");
  ASSERT_EQ(samples.features().size(), 1U);
  EXPECT_TRUE(samples.features()[0].weighted);
  EXPECT_TRUE(samples.features()[0].multi_hot);
  EXPECT_THAT(samples.labels(), ElementsAre(1.0F, 0.0F, 1.0F));
  EXPECT_THAT(samples.bag(0, 0), ElementsAre(0, 1));
  EXPECT_THAT(samples.bag_weights(0, 0), ElementsAre(0.5F, 2.0F));
  EXPECT_THAT(samples.bag(0, 1), IsEmpty());
  EXPECT_THAT(samples.bag(0, 2), ElementsAre(1, 0)) << "007 is 7";
  EXPECT_EQ(samples.tables()[0].vocabulary.token(0), "7");
}

TEST(LibffmReader, gives_a_weighted_bag_for_each_field_in_field_order) {
  const dataset samples = read("libffm", "1 9:5:1 2:6:0.5 9:7:3\n0 2:6:1\n1 4:1:1\n");
  ASSERT_EQ(samples.features().size(), 3U);
  EXPECT_EQ(samples.features()[0].name, "field 2");
  EXPECT_EQ(samples.features()[1].name, "field 4");
  EXPECT_EQ(samples.features()[2].name, "field 9");
  EXPECT_THAT(samples.bag(0, 0), ElementsAre(0));
  EXPECT_THAT(samples.bag_weights(0, 0), ElementsAre(0.5F));
  EXPECT_THAT(samples.bag(2, 0), ElementsAre(0, 1));
  EXPECT_THAT(samples.bag_weights(2, 0), ElementsAre(1.0F, 3.0F));
  EXPECT_THAT(samples.bag(1, 0), IsEmpty());
  EXPECT_THAT(samples.bag(1, 2), ElementsAre(0));
  EXPECT_THAT(samples.bag(2, 1), IsEmpty());
  EXPECT_THAT(samples.bag(2, 2), IsEmpty());
}

TEST(LibffmReader, takes_many_entries_but_refuses_too_many_fields) {
  std::string one_field = "1";
  std::string many_fields = "1";
  for (int k = 0; k < 1025; ++k) {
    one_field.append(" 3:").append(std::to_string(k)).append(":1");
    many_fields.append(" ").append(std::to_string(k)).append(":1:1");
  }
  EXPECT_EQ(read("libffm", one_field).tables()[0].num_ids, 1025);
  EXPECT_THROW(read("libffm", many_fields), parse_error);
}

}  // namespace
}  // namespace warpbag
