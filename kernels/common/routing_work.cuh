// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/common/device_problem.cuh"
#include "operations/routing.hpp"

namespace warpbag::kernels {

/// What the kernels of route work on.
struct routing_work {
  device_problem problem;
  device_occurrences occurrences;
  const operations::route_record* tables;  // [num_tables]
  const std::int64_t* first_destination;   // [num_tables + 1] destinations of the tables before
  void* const* compact_ids;                // [num_features]
  std::int64_t* first_run;                 // [num_tables + 1] runs of the tables before
  std::int64_t* routed_row;                // of each run, row at its destination
  std::int64_t* rows;                      // routed_rows
  std::int64_t* counts;

  WARPBAG_HOST_DEVICE std::int64_t num_destinations() const {
    return first_destination[problem.num_tables];
  }
  /// A bad batch has no runs (deduplicate).
  WARPBAG_HOST_DEVICE std::int64_t num_runs() const { return *occurrences.num_runs; }
};

}  // namespace warpbag::kernels
