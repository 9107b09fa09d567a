// SPDX-License-Identifier: Apache-2.0
#pragma once
// Times of the runs of one call in a few numbers.

#include <vector>

#include "bench/bench_device.hpp"
#include "operations/moved_bytes.hpp"

namespace warpbag::bench {

struct summary {
  double least = 0.0;  // seconds
  double p50 = 0.0;
  double p99 = 0.0;
  double cpu = 0.0;                // p50 of run_time::cpu
  double logical_bandwidth = 0.0;  // bytes a second, of the median run
  double floor_share = 0.0;        // time that the floor's bytes need at full bandwidth / p50
};

/// Nearest rank: the smallest of the times that is no less than `share` of them. times: not empty.
double percentile(std::vector<double> times, double share);

summary summarize(const std::vector<run_time>& times, const operations::moved_bytes& bytes,
                  double memory_bandwidth);

}  // namespace warpbag::bench
