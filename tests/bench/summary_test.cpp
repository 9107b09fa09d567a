// SPDX-License-Identifier: Apache-2.0
#include "bench/summary.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace warpbag::bench {
namespace {

TEST(Summary, percentiles_are_of_the_nearest_rank) {
  std::vector<double> times(200);
  std::iota(times.rbegin(), times.rend(), 1.0);
  EXPECT_EQ(percentile(times, 0.5), 100.0);
  EXPECT_EQ(percentile(times, 0.99), 198.0);
  EXPECT_EQ(percentile(times, 1.0), 200.0);
  EXPECT_EQ(percentile({7.0}, 0.99), 7.0);
  EXPECT_EQ(percentile({7.0, 5.0}, 0.5), 5.0);
}

TEST(Summary, compares_the_median_with_the_floor) {
  const std::vector<run_time> times = {{4e-3, 1.0}, {2e-3, 3.0}, {3e-3, 2.0}};
  // 3 MB at 2 GB/s take 1.5 ms: half of the median.
  const summary found = summarize(times, {3e6, 12e6}, 2e9);
  EXPECT_EQ(found.least, 2e-3);
  EXPECT_EQ(found.p50, 3e-3);
  EXPECT_EQ(found.p99, 4e-3);
  EXPECT_EQ(found.cpu, 2.0);
  EXPECT_DOUBLE_EQ(found.floor_share, 0.5);
  EXPECT_DOUBLE_EQ(found.logical_bandwidth, 4e9);
}

}  // namespace
}  // namespace warpbag::bench
