// SPDX-License-Identifier: Apache-2.0
#pragma once
// A random training run on several GPUs, small enough for simulated ones.

#include <functional>
#include <mutex>

#include "sharding/sharded_case.hpp"

namespace warpbag::support {

inline case_limits limits_on_devices() {
  case_limits limits;
  limits.max_samples = 24;
  limits.max_hotness = 5;
  limits.max_rows = 60;
  limits.steps = 3;
  return limits;
}

/// Runs body(run, rank) for each rank on a device of its own. `deadline`: of all but the joining.
inline run_results run_on_devices(const sharded_case& drawn,
                                  const std::function<void(rank_run&, int rank)>& body,
                                  std::chrono::milliseconds deadline = std::chrono::seconds(100)) {
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
    transports[r]->set_deadline(deadline);
    rank_run run(*devices[r], drawn, std::move(transports[r]));
    body(run, rank);
    const std::lock_guard lock(collecting);
    run.collect(results);
  });
  return results;
}

/// With prefetch in every other case.
inline run_results run_on_devices(const sharded_case& drawn) {
  return run_on_devices(
      drawn, [&](rank_run& run, int) { run.run(0, drawn.num_steps(), drawn.seed % 2 == 0); });
}

}  // namespace warpbag::support
