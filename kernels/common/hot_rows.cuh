// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rows that many bags share should stay in a multiprocessor's L1 until the next bag wants them.
// Least recently used goes first, so in a long-tailed batch the rows that are read once push them
// out: lookups of other rows are therefore read past L1 (pool). Which rows are hot a sample of the
// batch tells before it is checked (sample_rows.cuh), and check_inputs, which reads all ids anyway,
// leaves a bit for each lookup. No bit of a result depends on any of this.

#include "numerics/row_routing.hpp"
#include "operations/problem.hpp"

namespace warpbag::kernels {

struct hot_row_policy {
  /// Bytes of rows that a feature's lookups read, each use counted: some 80 us of a GPU, beside
  /// which a sample costs little, and a few thousand lookups a multiprocessor, of which each has to
  /// bring the hot rows once.
  static constexpr std::int64_t least_bytes = std::int64_t{256} << 20;
  /// Lookups of a feature in its sample, and buckets that these are counted in: a row that has one
  /// in 2000 lookups, as the 200th of a power law with alpha 1.15 has, is seen eight times.
  static constexpr int samples = 1 << 14;
  static constexpr int log_buckets = 14;
  static constexpr int buckets = 1 << log_buckets;
  /// Of the hot rows (of the strip of them that a warp reads): three quarters of an L1 of 128 KiB,
  /// which has ids and offsets to hold besides, in sets of few ways.
  static constexpr std::int64_t kept_bytes = 96 << 10;
  /// Of fewer lookups than one in four L1 would serve too few.
  static constexpr int least_share = 4;
  static constexpr int threads = 1024;
};

WARPBAG_HOST_DEVICE std::int64_t row_bytes_of(const operations::table_record& table) {
  return std::int64_t{table.dim} * (table.row_type == dtype::f32 ? 4 : 2);
}

/// Whether a sample of a feature may pay.
WARPBAG_HOST_DEVICE bool may_share_rows(const operations::table_record& table,
                                        const operations::feature_record& feature) {
  const std::int64_t row_bytes = row_bytes_of(table);
  return (feature.mode == pooling_mode::sum || feature.mode == pooling_mode::mean) &&
         feature.num_ids >= hot_row_policy::samples &&
         feature.num_ids * row_bytes >= hot_row_policy::least_bytes &&
         table.num_rows * row_bytes > hot_row_policy::kept_bytes;
}

/// Where an id, which may be any number, is counted. Two rows of a bucket are hot or not together.
WARPBAG_HOST_DEVICE std::uint32_t bucket_of(std::int64_t id) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(id) * numerics::routing_step >>
                                    (64 - hot_row_policy::log_buckets));
}

/// A bit for each bucket: its rows are hot.
struct hot_filter {
  std::uint32_t words[hot_row_policy::buckets / 32];
};

/// Of a batch; lookups nullptr: none of its features may_share_rows.
struct hot_row_work {
  hot_filter* filters;     // [num_features]
  std::uint32_t* lookups;  // device_problem::hot_lookups
};

}  // namespace warpbag::kernels
