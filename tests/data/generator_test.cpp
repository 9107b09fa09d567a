// SPDX-License-Identifier: Apache-2.0
#include "warpbag/generator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "data/power_law.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

generator_options small_options() {
  generator_options options;
  options.num_samples = 20000;
  options.num_users = 500;
  options.num_items = 200;
  return options;
}

// Probability that a positive sample has the higher logit; equal logits do not occur often enough
// to matter.
double area_under_curve(const planted_dataset& made) {
  std::vector<std::size_t> order(made.logits.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return made.logits[a] < made.logits[b]; });
  double positives = 0.0;
  double rank_sum = 0.0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    if (made.samples.labels()[order[rank]] == 0.0F) continue;
    positives += 1.0;
    rank_sum += static_cast<double>(rank + 1);
  }
  const double negatives = static_cast<double>(order.size()) - positives;
  return (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives);
}

TEST(Generator, makes_the_features_of_a_rating_file) {
  const planted_dataset made = generate_dataset(small_options());
  const dataset& samples = made.samples;
  EXPECT_EQ(samples.num_samples(), 20000);
  EXPECT_EQ(made.logits.size(), 20000U);
  ASSERT_EQ(samples.features().size(), 3U);
  EXPECT_EQ(samples.features()[2].name, "history");
  EXPECT_EQ(samples.features()[2].table, samples.features()[1].table);
  std::size_t longest = 0;
  std::size_t shortest = 100;
  for (std::int64_t sample = 0; sample < samples.num_samples(); ++sample) {
    longest = std::max(longest, samples.bag(2, sample).size());
    shortest = std::min(shortest, samples.bag(2, sample).size());
  }
  EXPECT_EQ(longest, 20U);
  EXPECT_EQ(shortest, 0U);
}

TEST(Generator, gives_the_same_bytes_on_every_machine) {
  const planted_dataset made = generate_dataset(small_options());
  EXPECT_EQ(made.samples.fingerprint(), 9936493685015651472U);
  EXPECT_EQ(made.logits[12345], 0x1.edd9a6p+1F);
}

TEST(Generator, differs_by_seed) {
  generator_options options = small_options();
  const std::uint64_t original = generate_dataset(options).samples.fingerprint();
  options.seed = 2;
  EXPECT_NE(generate_dataset(options).samples.fingerprint(), original);
}

TEST(Generator, begins_alike_whatever_the_number_of_samples) {
  generator_options options = small_options();
  const planted_dataset many = generate_dataset(options);
  options.num_samples = 10;
  const planted_dataset few = generate_dataset(options);
  EXPECT_TRUE(std::equal(few.logits.begin(), few.logits.end(), many.logits.begin()));
}

TEST(Generator, leaves_much_to_learn) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    generator_options options = small_options();
    options.seed = seed;
    const planted_dataset made = generate_dataset(options);
    EXPECT_GT(area_under_curve(made), 0.8) << "seed " << seed;
    EXPECT_LT(area_under_curve(made), 0.95) << "seed " << seed;
    const auto labels = made.samples.labels();
    const float share = std::accumulate(labels.begin(), labels.end(), 0.0F) / 20000.0F;
    EXPECT_GT(share, 0.2F) << "seed " << seed;
    EXPECT_LT(share, 0.8F) << "seed " << seed;
  }
}

// The number of positives among samples of about equal logit must fit sigmoid(logit).
TEST(Generator, draws_labels_with_the_planted_probability) {
  generator_options options = small_options();
  options.num_samples = 100000;
  const planted_dataset made = generate_dataset(options);
  for (const double low : {-3.0, -1.0, 0.0, 2.0}) {
    double expected = 0.0;
    double variance = 0.0;
    double positives = 0.0;
    for (std::size_t k = 0; k < made.logits.size(); ++k) {
      const double logit = made.logits[k];
      if (logit < low || logit >= low + 0.5) continue;
      const double probability = 1.0 / (1.0 + std::exp(-logit));
      expected += probability;
      variance += probability * (1.0 - probability);
      positives += made.samples.labels()[k];
    }
    EXPECT_GT(expected, 100.0);
    EXPECT_NEAR(positives, expected, 4.0 * std::sqrt(variance)) << "logits from " << low;
  }
}

TEST(Generator, makes_no_history_when_told_not_to) {
  generator_options options = small_options();
  options.history_length = 0;
  EXPECT_EQ(generate_dataset(options).samples.features().size(), 2U);
}

TEST(Generator, refuses_options_outside_their_domain) {
  const std::vector<std::function<void(generator_options&)>> spoils = {
      [](auto& options) { options.num_samples = 0; },
      [](auto& options) { options.num_users = 0; },
      [](auto& options) { options.num_items = std::int64_t{1} << 32; },
      [](auto& options) { options.exponent = -0.1; },
      [](auto& options) { options.exponent = std::numeric_limits<double>::quiet_NaN(); },
      [](auto& options) { options.history_length = -1; },
      [](auto& options) { options.dim = 0; },
      [](auto& options) { options.dim = 1025; }};
  for (std::size_t k = 0; k < spoils.size(); ++k) {
    generator_options options = small_options();
    spoils[k](options);
    EXPECT_THROW(generate_dataset(options), invalid_argument) << k;
  }
}

// With exponent 1 and four ids the probabilities are 12/25, 6/25, 4/25 and 3/25.
TEST(PowerLaw, cuts_the_unit_interval_by_frequency) {
  const data::power_law law(4, 1.0);
  EXPECT_EQ(law(0.0), 0);
  EXPECT_EQ(law(0.4799), 0);
  EXPECT_EQ(law(0.4801), 1);
  EXPECT_EQ(law(0.7199), 1);
  EXPECT_EQ(law(0.7201), 2);
  EXPECT_EQ(law(0.8799), 2);
  EXPECT_EQ(law(0.8801), 3);
  EXPECT_EQ(law(std::nextafter(1.0, 0.0)), 3);
}

TEST(PowerLaw, is_uniform_at_exponent_0) {
  const data::power_law law(10, 0.0);
  for (int id = 0; id < 10; ++id) EXPECT_EQ(law(0.1 * id + 0.05), id);
}

}  // namespace
}  // namespace warpbag
