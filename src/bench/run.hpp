// SPDX-License-Identifier: Apache-2.0
#pragma once
// Measures calls of the library on workloads and tells the results.

#include <iosfwd>
#include <vector>

#include "bench/bench_device.hpp"
#include "bench/measured_step.hpp"

namespace warpbag::bench {

/// warm: caches as the run before left them. cold: flushed before each run.
enum class cache_state : std::uint8_t { warm, cold };
std::string_view to_string(cache_state state);

struct run_options {
  std::vector<workload> workloads = {};
  std::vector<measured_call> calls = {};
  std::vector<cache_state> caches = {};
  double min_seconds = 0.5;     // measured, of each result
  std::int64_t iterations = 0;  // 0: by min_seconds
  double bandwidth = 0.0;       // of memory, bytes a second; 0: measured
  bool json = false;            // Google Benchmark's JSON; otherwise a table
};

/// Names of the results are WORKLOAD/CALL/CACHE. Throws what a workload throws, and
/// invalid_argument in a build without Google Benchmark.
void run_benchmarks(const run_options& options, bench_device& device, std::ostream& out);

}  // namespace warpbag::bench
