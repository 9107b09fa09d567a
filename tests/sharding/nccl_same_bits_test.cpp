// SPDX-License-Identifier: Apache-2.0
// Sharded over several GPUs with NCCL: the bits of one CPU.

#include <gtest/gtest.h>

#include "sharding/nccl_case.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

class ShardedOnDevices : public ::testing::TestWithParam<int> {};

TEST_P(ShardedOnDevices, gives_the_bits_of_one_cpu) {
  const int ranks = GetParam();
  for (const std::uint64_t seed : seeds_of_test(static_cast<std::uint64_t>(7000 * ranks), 3)) {
    const sharded_case drawn = random_case(seed, ranks, limits_on_devices());
    const auto cpu = cpu_backend(1).make_device();
    ASSERT_EQ("", difference(run_on_one_device(*cpu, drawn), run_on_devices(drawn))) << drawn;
  }
}

// Outputs of bags that are pooled in parts depend on the number of ranks.
TEST_P(ShardedOnDevices, gives_with_partial_bags_the_bits_of_as_many_cpus) {
  const int ranks = GetParam();
  case_limits limits = limits_on_devices();
  limits.partial_bags = true;
  for (const std::uint64_t seed :
       seeds_of_test(static_cast<std::uint64_t>(8000 * ranks), 8 / ranks)) {
    const sharded_case drawn = random_case(seed, ranks, limits);
    ASSERT_EQ("", difference(run_sharded(drawn, false), run_on_devices(drawn))) << drawn;
  }
}

INSTANTIATE_TEST_SUITE_P(ranks, ShardedOnDevices, ::testing::Values(2, 4, 8));

}  // namespace
}  // namespace warpbag::support
