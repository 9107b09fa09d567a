// SPDX-License-Identifier: Apache-2.0
// Prints the table of docs/sharding.md, "Bytes on the wire": what in-process ranks send in a step,
// beside what row-wise sharding by reduce-scatter and all-gather sends (TorchRec).
#include <cstdio>

#include "sharding/measured_traffic.hpp"

int main() {
  using namespace warpbag;
  constexpr std::int64_t num_rows = 10'000'000;
  constexpr std::int64_t samples = 1024;
  constexpr std::int64_t dim = 16;
  constexpr double kib = 1024.0;
  std::printf(
      "| alpha | L | ranks | unique rows | forward KiB | backward KiB | reduce-scatter KiB | "
      "forward / it | backward / it |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const double alpha : {0.8, 1.05, 1.2}) {
    const data::power_law law(num_rows, alpha);
    for (const std::int64_t hotness : {1, 20}) {
      for (const int ranks : {8, 64}) {
        const support::law_case wanted = {
            .sizes = std::vector<std::int64_t>(static_cast<std::size_t>(ranks), samples),
            .hotness = hotness,
            .dim = dim,
            .seed = 7};
        const support::sharded_case drawn = support::draw_case(wanted, law, num_rows);
        const auto mean = support::mean_of(drawn, support::measure(drawn).front());
        const double backward = mean.sums + mean.moved_bags;
        const auto dense = static_cast<double>((ranks - 1) * samples * dim * 4);
        std::printf("| %.2f | %d | %d | %.0f | %.1f | %.1f | %.1f | %.3f | %.3f |\n", alpha,
                    static_cast<int>(hotness), ranks, mean.remote_rows, mean.forward / kib,
                    backward / kib, dense / kib, mean.forward / dense, backward / dense);
        std::fflush(stdout);
      }
    }
  }
}
