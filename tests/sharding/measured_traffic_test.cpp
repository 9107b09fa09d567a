// SPDX-License-Identifier: Apache-2.0
// Bytes on the links between ranks: those that their ids lead to, and little more than each
// distinct row once.

#include "sharding/measured_traffic.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

/// Compares one step of a run with what its ids lead to, link by link.
void expect_counted(const sharded_case& drawn, std::size_t step, const measured_step& measured) {
  const sharding::link_bytes links = counted(drawn, step);
  for (int from = 0; from < drawn.num_ranks; ++from) {
    std::int64_t forward = 0;
    std::int64_t backward = 0;
    for (int to = 0; to < drawn.num_ranks; ++to) {
      const std::size_t link = links.index(from, to);
      forward += links.forward[link];
      backward += links.backward[link];
      ASSERT_EQ(measured.link_bytes[link],
                links.forward[link] + links.backward[link] + links.agreements[link])
          << "step " << step << ", from rank " << from << " to " << to << '\n'
          << drawn;
    }
    const step_traffic& told = measured.ranks[static_cast<std::size_t>(from)];
    ASSERT_EQ(told.row_request_bytes + told.row_bytes, forward);
    // The numbers of lookups of moved bags are told before these move.
    ASSERT_LE(told.gradient_bytes + told.moved_bag_bytes, backward);
  }
}

class MeasuredTraffic : public ::testing::TestWithParam<int> {};

TEST_P(MeasuredTraffic, is_what_is_counted_from_ids) {
  const int ranks = GetParam();
  for (const std::uint64_t seed : seeds_of_test(static_cast<std::uint64_t>(2000 * ranks), 20)) {
    const sharded_case drawn = random_case(
        seed, ranks,
        {.max_samples = 100, .steps = 2, .gradient_forms = false, .partial_bags = seed % 3 == 0});
    const std::vector<measured_step> steps = measure(drawn);
    for (std::size_t step = 0; step < steps.size(); ++step) {
      expect_counted(drawn, step, steps[step]);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ranks, MeasuredTraffic, ::testing::Values(2, 3, 4, 7, 8));

// ---- beside the distinct rows of each rank's batch ----

constexpr std::int64_t num_rows = 50'000;
constexpr std::int64_t dim = 32;
constexpr std::int64_t row_bytes = dim * 4 + 8;  // of an fp32 row, or sum, and its number

mean_traffic measure_mean(std::vector<std::int64_t> sizes, std::int64_t hotness,
                          const data::power_law& law) {
  const sharded_case drawn = draw_case(
      {.sizes = std::move(sizes), .hotness = hotness, .dim = dim, .seed = 5}, law, num_rows);
  return mean_of(drawn, measure(drawn).front());
}

std::vector<std::int64_t> even(int ranks, std::int64_t samples) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(ranks), samples);
}

TEST(Traffic, of_even_batches_of_4_16_and_64_ranks_is_each_distinct_row_once) {
  const data::power_law law(num_rows, 1.05);
  for (const int ranks : {4, 16, 64}) {
    for (const std::int64_t hotness : {1, 20}) {
      const mean_traffic mean = measure_mean(even(ranks, 128), hotness, law);
      const double once = mean.remote_rows * row_bytes;
      EXPECT_LE(mean.forward, 1.05 * once) << ranks << ' ' << hotness;
      EXPECT_LE(mean.sums, 1.05 * once) << ranks << ' ' << hotness;
      EXPECT_EQ(mean.moved_bags, 0.0) << ranks << ' ' << hotness;
    }
  }
}

std::vector<std::int64_t> ragged(int ranks, std::int64_t mean) {
  random_source random(static_cast<std::uint64_t>(ranks));
  std::vector<std::int64_t> sizes;
  for (int rank = 0; rank < ranks; ++rank) sizes.push_back(random.below(2 * mean + 1));
  return sizes;
}

// Hot rows have a sum in each subtree of a rank, and bags of slices that several ranks have samples
// of move; most where ranks are more than slices.
TEST(Traffic, of_backward_elsewhere_is_at_most_twice_each_distinct_row) {
  const data::power_law law(num_rows, 1.2);
  for (const std::int64_t hotness : {1, 20}) {
    for (const int ranks : {2, 3, 7, 8, 48, 100}) {
      for (const auto& sizes : {even(ranks, 128), ragged(ranks, 128)}) {
        const mean_traffic mean = measure_mean(sizes, hotness, law);
        const double once = mean.remote_rows * row_bytes;
        EXPECT_LE(mean.forward, 1.05 * once) << ranks << ' ' << hotness;
        EXPECT_LE(mean.sums + mean.moved_bags, 2.0 * once) << ranks << ' ' << hotness;
      }
    }
  }
}

}  // namespace
}  // namespace warpbag::support
