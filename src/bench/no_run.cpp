// SPDX-License-Identifier: Apache-2.0
#include "bench/run.hpp"
#include "warpbag/error.hpp"

namespace warpbag::bench {

void run_benchmarks(const run_options&, bench_device&, std::ostream&) {
  throw error(
      "bench: Google Benchmark was not found when this program was built; install it (Debian: "
      "libbenchmark-dev) and build again");
}

}  // namespace warpbag::bench
