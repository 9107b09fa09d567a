// SPDX-License-Identifier: Apache-2.0
#include "bench/summary.hpp"

#include <algorithm>
#include <cmath>

namespace warpbag::bench {

namespace {

constexpr double least_seconds = 1e-9;  // a clock's tick may be all that a run takes

}  // namespace

double percentile(std::vector<double> times, double share) {
  const double wanted = std::ceil(share * static_cast<double>(times.size()));
  const auto rank = static_cast<std::size_t>(std::max(wanted, 1.0)) - 1;
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(rank), times.end());
  return times[rank];
}

summary summarize(const std::vector<run_time>& times, const operations::moved_bytes& bytes,
                  double memory_bandwidth) {
  std::vector<double> wall;
  std::vector<double> cpu;
  for (const run_time& time : times) {
    wall.push_back(std::max(time.wall, least_seconds));
    cpu.push_back(time.cpu);
  }
  summary result;
  result.least = *std::min_element(wall.begin(), wall.end());
  result.p50 = percentile(wall, 0.5);
  result.p99 = percentile(wall, 0.99);
  result.cpu = percentile(cpu, 0.5);
  result.logical_bandwidth = bytes.logical / result.p50;
  result.floor_share = bytes.floor / memory_bandwidth / result.p50;
  return result;
}

}  // namespace warpbag::bench
