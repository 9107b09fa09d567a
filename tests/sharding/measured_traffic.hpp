// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a sharded run sends, as the in-process transport counts it, beside what is counted from its
// ids.

#include "data/power_law.hpp"
#include "planner/traffic.hpp"
#include "sharding/sharded_case.hpp"

namespace warpbag::support {

struct measured_step {
  std::vector<std::int64_t> link_bytes;  // [from * ranks + to]
  std::vector<step_traffic> ranks;
};

/// Runs the case on in-process ranks.
std::vector<measured_step> measure(const sharded_case& drawn);

/// The same from the ids of the case's batches.
sharding::link_bytes counted(const sharded_case& drawn, std::size_t step);

/// One step of one row-wise table of fp32, trained by SGD, whose ids follow a law.
struct law_case {
  std::vector<std::int64_t> sizes;  // samples of each rank
  std::int64_t hotness = 1;
  std::int64_t dim = 16;
  std::uint64_t seed = 0;
};
sharded_case draw_case(const law_case& wanted, const data::power_law& law, std::int64_t num_rows);

/// The means over ranks of what a rank sends and receives, and of its distinct rows.
struct mean_traffic {
  double forward = 0.0;      // ids that a rank asks for and rows that come, bytes
  double sums = 0.0;         // bytes
  double moved_bags = 0.0;   // bytes
  double remote_rows = 0.0;  // distinct rows of the rank's batch that other ranks own
};
mean_traffic mean_of(const sharded_case& drawn, const measured_step& step);

}  // namespace warpbag::support
