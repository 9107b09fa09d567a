// SPDX-License-Identifier: Apache-2.0
#pragma once
// A batch of a workload, on the host.

#include <cstdint>
#include <vector>

#include "bench/workload.hpp"

namespace warpbag::bench {

struct drawn_feature {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets;  // [batch + 1]; empty: fixed hotness
  std::vector<float> weights;         // empty: none
};

/// One feature for each table, in their order.
struct drawn_batch {
  std::vector<drawn_feature> features;
};

/// A function of the workload alone, its seed included.
drawn_batch draw_batch(const workload& workload);

/// What a benchmark must tell of its ids to mean anything. Ids that train no row (padding, out of
/// range) are lookups and no more.
struct batch_statistics {
  std::int64_t lookups = 0;
  std::vector<std::int64_t> distinct_rows;  // of each table
  std::int64_t hottest = 0;                 // lookups of the row with most
};
batch_statistics count(const workload& workload, const drawn_batch& batch);

}  // namespace warpbag::bench
