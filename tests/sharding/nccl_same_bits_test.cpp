// SPDX-License-Identifier: Apache-2.0
// Sharded over several GPUs with NCCL: the bits of one CPU.

#include <gtest/gtest.h>

#include <mutex>

#include "sharding/sharded_case.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

run_results run_on_devices(const sharded_case& drawn) {
  std::vector<std::unique_ptr<test_device>> devices;
  std::vector<resources> of_ranks;
  for (int rank = 0; rank < drawn.num_ranks; ++rank) {
    devices.push_back(make_cuda_test_device(rank));
    of_ranks.push_back(devices.back()->get_resources());
  }
  auto transports = make_nccl_transports(of_ranks, std::chrono::seconds(100));
  run_results results = make_results(drawn);
  std::mutex collecting;
  for_each_rank(drawn.num_ranks, [&](int rank) {
    const auto r = static_cast<std::size_t>(rank);
    rank_run run(*devices[r], drawn, std::move(transports[r]));
    run.run(0, drawn.num_steps(), drawn.seed % 2 == 0);
    const std::lock_guard lock(collecting);
    run.collect(results);
  });
  return results;
}

class ShardedOnDevices : public ::testing::TestWithParam<int> {};

TEST_P(ShardedOnDevices, gives_the_bits_of_one_cpu) {
  const int ranks = GetParam();
  case_limits limits;
  limits.max_samples = 24;
  limits.max_hotness = 5;
  limits.max_rows = 60;
  limits.steps = 3;
  for (const std::uint64_t seed : seeds_of_test(static_cast<std::uint64_t>(7000 * ranks), 3)) {
    const sharded_case drawn = random_case(seed, ranks, limits);
    const auto cpu = cpu_backend(1).make_device();
    ASSERT_EQ("", difference(run_on_one_device(*cpu, drawn), run_on_devices(drawn))) << drawn;
  }
}

INSTANTIATE_TEST_SUITE_P(ranks, ShardedOnDevices, ::testing::Values(2, 4, 8));

}  // namespace
}  // namespace warpbag::support
