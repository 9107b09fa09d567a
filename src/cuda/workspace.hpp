// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a backend keeps on the device, in one allocation.

#include <cstddef>
#include <cstdint>

#include "operations/problem.hpp"

namespace warpbag::cuda {

/// Rows whose numbers, and one more for "no row", fit in 32 bits are sorted by 32-bit keys.
inline bool has_narrow_keys(std::int64_t total_rows) { return total_rows < 0xFFFFFFFF; }

/// Byte offsets of the parts, each a multiple of 256.
struct workspace_layout {
  std::size_t records;          // pool_records, table_records, feature_records
  std::size_t bag_of_position;  // u32 [positions]
  std::size_t scale_of_bag;     // f32 [bags]
  std::size_t hot_filters;      // hot_filter [features]
  std::size_t hot_lookups;      // u32 [positions / 32 + 2]: reads of eight bits may go one word on
  std::size_t keys[2];          // u32 or u64 [positions]: the sort goes to and fro
  std::size_t positions[2];     // u32 [positions]
  std::size_t sort_scratch;     // of deduplicate and route
  std::size_t rows;             // i64 [runs], runs = min(positions, rows)
  std::size_t run_begins;       // u32 [runs + 1]
  std::size_t long_runs;        // u32 [positions / 65]
  std::size_t counts;           // 32 bits each: numbers of runs and of long runs
  std::size_t routing_records;  // routed: of the operations between ranks
  std::size_t first_run;        // routed: i64 [tables + 1]
  std::size_t routed_row;       // routed: i64 [runs]
  std::size_t routed_runs;      // routed: u32 [runs]
  std::size_t gradient;         // of reduce_gradients
  std::size_t bytes;            // of all
};

workspace_layout make_workspace_layout(const operations::problem_limits& limits);

/// Words of 8 bytes that the records of a problem take.
std::size_t record_words(std::int64_t num_tables, std::int64_t num_features);

/// Words of 8 bytes that the records of an operation between ranks take at most.
std::size_t routing_record_words(std::int64_t num_tables, std::int64_t num_features);

bool within(const operations::problem& problem, const operations::problem_limits& limits);

}  // namespace warpbag::cuda
