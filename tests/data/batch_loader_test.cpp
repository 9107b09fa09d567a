// SPDX-License-Identifier: Apache-2.0
#include "warpbag/batch_loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Sample i has id i, so a batch shows which samples it holds.
dataset numbered_samples(std::int64_t count, std::vector<double> timestamps = {}) {
  dataset_parts parts;
  parts.tables.resize(1);
  parts.tables[0].num_ids = count;
  parts.features = {{"number", 0, false, false}};
  parts.columns.resize(1);
  parts.columns[0].ids.resize(static_cast<std::size_t>(count));
  std::iota(parts.columns[0].ids.begin(), parts.columns[0].ids.end(), 0U);
  parts.labels.resize(static_cast<std::size_t>(count));
  parts.timestamps = std::move(timestamps);
  return dataset(std::move(parts));
}

std::vector<std::int64_t> count_to(std::int64_t size) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(size));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<std::int64_t> images(const permutation& shuffled) {
  std::vector<std::int64_t> out;
  for (std::int64_t k = 0; k < shuffled.size(); ++k) out.push_back(shuffled(k));
  return out;
}

TEST(Permutation, is_one_to_one_at_every_size) {
  for (std::int64_t size = 0; size <= 300; ++size) {
    std::vector<std::int64_t> seen = images(permutation(size, 7, 0));
    std::sort(seen.begin(), seen.end());
    ASSERT_EQ(seen, count_to(size)) << "size " << size;
  }
  std::vector<std::int64_t> seen = images(permutation(65537, 7, 0));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, count_to(65537));
}

TEST(Permutation, gives_any_stretch_of_images_as_one_by_one) {
  const permutation shuffled(1000, 7, 3);
  const std::vector<std::int64_t> all = images(shuffled);
  for (const std::int64_t first : {0, 1, 127, 500, 999}) {
    for (const std::int64_t count : {0, 1, 2, 127, 128, 129, 300, 1000}) {
      std::vector<std::int64_t> stretch(
          static_cast<std::size_t>(std::min(count, shuffled.size() - first)));
      shuffled.images(first, stretch);
      ASSERT_TRUE(std::equal(stretch.begin(), stretch.end(), all.begin() + first))
          << count << " from " << first;
    }
  }
}

TEST(Permutation, stays_the_same_across_machines_and_versions) {
  EXPECT_THAT(images(permutation(10, 1, 0)), ElementsAre(1, 2, 7, 9, 3, 6, 4, 5, 8, 0));
}

TEST(Permutation, differs_by_seed_and_by_stream) {
  const auto original = images(permutation(1000, 1, 0));
  EXPECT_NE(images(permutation(1000, 2, 0)), original);
  EXPECT_NE(images(permutation(1000, 1, 1)), original);
}

// Under a random permutation the number of places k with image < size / 2 in the first half is
// hypergeometric: mean size / 4, standard deviation sqrt(size) / 4 (about).
TEST(Permutation, mixes_the_halves) {
  constexpr std::int64_t size = 100000;
  for (std::uint32_t stream = 0; stream < 20; ++stream) {
    const permutation shuffled(size, 3, stream);
    std::int64_t stayed = 0;
    std::int64_t neighbours = 0;
    for (std::int64_t k = 0; k < size / 2; ++k) {
      stayed += shuffled(k) < size / 2;
      neighbours += std::abs(shuffled(k) - shuffled(k + 1)) == 1;
    }
    EXPECT_NEAR(static_cast<double>(stayed), size / 4.0, 5 * std::sqrt(size) / 4) << stream;
    EXPECT_LT(neighbours, 12) << stream;  // Poisson with mean 1
  }
}

TEST(Permutation, takes_the_largest_size_and_refuses_a_larger_or_negative_one) {
  constexpr std::int64_t largest = std::int64_t{1} << 62;
  const permutation shuffled(largest, 1, 0);
  EXPECT_GE(shuffled(largest - 1), 0);
  EXPECT_LT(shuffled(largest - 1), largest);
  EXPECT_NE(shuffled(largest - 1), shuffled(0));
  EXPECT_THROW(permutation(largest + 1, 1, 0), invalid_argument);
  EXPECT_THROW(permutation(-1, 1, 0), invalid_argument);
}

TEST(SplitByRatio, takes_the_exact_share_and_every_sample_once) {
  const dataset samples = numbered_samples(1003);
  const dataset_split split = split_by_ratio(samples, 0.1, 5);
  EXPECT_EQ(split.validation.size(), 100U);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::vector<std::int64_t> all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, count_to(1003));
  EXPECT_EQ(split_by_ratio(samples, 0.1, 5).validation, split.validation);
  EXPECT_NE(split_by_ratio(samples, 0.1, 6).validation, split.validation);
}

TEST(SplitByTime, takes_the_latest_and_keeps_file_order_among_equals) {
  const dataset samples = numbered_samples(6, {30.0, 10.0, 20.0, 10.0, 30.0, -1.0});
  const dataset_split split = split_by_time(samples, 0.5);
  EXPECT_THAT(split.train, ElementsAre(5, 1, 3));
  EXPECT_THAT(split.validation, ElementsAre(2, 0, 4));
}

TEST(SplitByTime, goes_by_file_order_without_times) {
  const dataset_split split = split_by_time(numbered_samples(4), 0.25);
  EXPECT_THAT(split.train, ElementsAre(0, 1, 2));
  EXPECT_THAT(split.validation, ElementsAre(3));
}

TEST(Split, may_leave_nothing_for_validation_but_something_for_training) {
  const dataset samples = numbered_samples(3);
  EXPECT_THAT(split_by_time(samples, 0.0).validation, IsEmpty());
  EXPECT_THROW(split_by_time(samples, 0.9), invalid_argument);
  for (const double fraction : {1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(split_by_time(samples, fraction), invalid_argument);
    EXPECT_THROW(split_by_ratio(samples, fraction, 1), invalid_argument);
  }
}

std::vector<std::int64_t> samples_of(const batch_loader& loader, std::int64_t step) {
  batch out;
  loader.load(step, out);
  return out.features[0].ids;
}

TEST(BatchLoader, shows_every_sample_once_an_epoch) {
  const dataset samples = numbered_samples(103);
  const batch_loader loader(samples, count_to(103), {10, true, 1});
  ASSERT_EQ(loader.steps_per_epoch(), 11);
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> seen;
    for (std::int64_t step = 0; step < 11; ++step) {
      const auto chosen = samples_of(loader, epoch * 11 + step);
      EXPECT_EQ(chosen.size(), step == 10 ? 3U : 10U);
      seen.insert(seen.end(), chosen.begin(), chosen.end());
    }
    epochs.push_back(seen);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, count_to(103));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST(BatchLoader, gives_the_same_batch_wherever_it_starts) {
  const dataset samples = numbered_samples(1000);
  const batch_loader once(samples, count_to(1000), {64, true, 9});
  for (std::int64_t step = 0; step < 40; ++step) samples_of(once, step);
  const batch_loader resumed(samples, count_to(1000), {64, true, 9});
  EXPECT_EQ(samples_of(resumed, 40), samples_of(once, 40));
  EXPECT_NE(samples_of(resumed, 40), samples_of(once, 41));
}

TEST(BatchLoader, keeps_the_order_given_without_shuffle) {
  const dataset samples = numbered_samples(10);
  const batch_loader loader(samples, {7, 3, 9, 1}, {3, false, 1});
  EXPECT_EQ(loader.num_samples(), 4);
  EXPECT_THAT(samples_of(loader, 0), ElementsAre(7, 3, 9));
  EXPECT_THAT(samples_of(loader, 1), ElementsAre(1));
  EXPECT_THAT(samples_of(loader, 2), ElementsAre(7, 3, 9));
}

TEST(BatchLoader, gives_parts_that_are_the_batch_one_after_the_other) {
  const dataset samples = numbered_samples(103);
  const batch_loader loader(samples, count_to(103), {10, true, 1});
  for (const std::int64_t step : {0, 10, 21}) {  // steps 10 and 21 end an epoch: 3 samples
    const std::vector<std::int64_t> whole = samples_of(loader, step);
    EXPECT_EQ(loader.batch_size(step), static_cast<std::int64_t>(whole.size()));
    for (const int count : {1, 2, 3, 4, 7, 11}) {
      std::vector<std::int64_t> parts;
      for (int index = 0; index < count; ++index) {
        batch out;
        loader.load(step, out, {index, count});
        EXPECT_LE(out.num_samples(), (loader.batch_size(step) + count - 1) / count);
        const std::vector<std::int64_t>& ids = out.features[0].ids;
        parts.insert(parts.end(), ids.begin(), ids.end());
      }
      EXPECT_EQ(parts, whole) << "step " << step << ", " << count << " parts";
    }
  }
}

TEST(BatchLoader, takes_a_batch_larger_than_the_data) {
  const dataset samples = numbered_samples(5);
  const batch_loader loader(samples, count_to(5),
                            {std::numeric_limits<std::int64_t>::max(), false, 1});
  EXPECT_EQ(loader.steps_per_epoch(), 1);
  EXPECT_EQ(samples_of(loader, 0), count_to(5));
}

TEST(BatchLoader, refuses_what_it_cannot_load) {
  const dataset samples = numbered_samples(5);
  EXPECT_THROW(batch_loader(samples, count_to(5), {0, true, 1}), invalid_argument);
  EXPECT_THROW(batch_loader(samples, {}, {1, true, 1}), invalid_argument);
  EXPECT_THROW(batch_loader(samples, {5}, {1, true, 1}), invalid_argument);
  EXPECT_THROW(batch_loader(samples, {-1}, {1, true, 1}), invalid_argument);
  const batch_loader loader(samples, count_to(5), {1, true, 1});
  batch out;
  EXPECT_THROW(loader.load(-1, out), invalid_argument);
  EXPECT_THROW(loader.batch_size(-1), invalid_argument);
  EXPECT_THROW(loader.load(std::numeric_limits<std::int64_t>::max(), out), invalid_argument);
}

}  // namespace
}  // namespace warpbag
