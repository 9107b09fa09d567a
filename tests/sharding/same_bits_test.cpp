// SPDX-License-Identifier: Apache-2.0
// A sharded run gives the bits of one device: outputs, gradients of weights, weights, optimizer and
// step states, for any plan, number of ranks and raggedness.

#include <gtest/gtest.h>

#include "sharding/sharded_case.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

class ShardedBits : public ::testing::TestWithParam<int> {};

TEST_P(ShardedBits, equal_those_of_one_device) {
  const int ranks = GetParam();
  const auto first = static_cast<std::uint64_t>(1000 * ranks);
  for (const std::uint64_t seed : seeds_of_test(first, 30)) {
    const sharded_case drawn = random_case(seed, ranks);
    const auto device = cpu_backend(1).make_device();
    const run_results expected = run_on_one_device(*device, drawn);
    const bool prefetch = seed % 2 == 0;
    ASSERT_EQ("", difference(expected, run_sharded(drawn, prefetch))) << drawn;
  }
}

INSTANTIATE_TEST_SUITE_P(ranks, ShardedBits, ::testing::Values(1, 2, 3, 4, 7, 8));

}  // namespace
}  // namespace warpbag::support
