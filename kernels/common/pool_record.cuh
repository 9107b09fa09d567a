// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the output rows of pool's features are dealt to warps, which code makes them, and from what:
// found out once a feature, on the host, so that a warp is one load away from its offsets.

#include <algorithm>

#include "kernels/common/device_problem.cuh"
#include "kernels/common/hot_rows.cuh"

namespace warpbag::kernels {

/// Which kernel serves a feature.
enum class pool_part { sums, others };

inline pool_part part_of(pooling_mode mode) {
  return mode == pooling_mode::sum || mode == pooling_mode::mean ? pool_part::sums
                                                                 : pool_part::others;
}

/// What is known of a feature's lookups before they are read.
enum class lookup_kind : std::uint8_t {
  plain,     // every id reads a row below 4 GiB of a table of at most 2^32 rows; no weights
  weighted,  // the same, with weights, in one access a lane
  checked    // ids may be bad or padding; weights or none
};

/// Rows that a group copies in mode none.
inline constexpr int copied_rows = 4;

struct pool_policy {
  /// Loads of 16 bytes under way in a lane: 8, so that the 16 warps which registers leave room for
  /// have 64 KB under way on a multiprocessor. Octets with weights need twice the accumulators, and
  /// narrow accesses are several a row: 4 rows there.
  static __host__ __device__ constexpr int rows_in_flight(lookup_kind kind, int elements,
                                                          int parts) {
    const bool wide = elements > 4 && kind != lookup_kind::plain;
    return kind == lookup_kind::checked || wide || parts > 1 ? 4 : 8;
  }
  /// What a warp does before its first bag costs it as much as a dozen rows: a group takes several
  /// bags, one after the other, where that leaves enough warps: 12 a multiprocessor with 4 KB each
  /// under way are 48 KB.
  static constexpr std::int64_t enough_warps = 12;
  static constexpr std::int64_t most_bags = 8;  // per group
  /// 16 warps of 128 registers; with 96 registers and 20 warps some of the paths spill.
  static constexpr int block_warps = 4;
  static constexpr int least_blocks = 4;
  /// A longer bag is cut into pieces (long_bags.cuh): with eight rows under way 512 lookups are 64
  /// trips to memory.
  static constexpr std::uint32_t longest_bag = 512;
  /// Whole blocks; as many trips as such a bag, with the four rows under way of checked lookups.
  static constexpr std::uint32_t piece = 256;
  /// A bag of n > 512 lookups finds room for its ceil(n / 64) block sums between the slots of its
  /// first position and of the next bag's: with a slot for every 51 positions these are
  /// (n - 50) / 51 at least, enough from n = 494 on.
  static constexpr std::int64_t positions_per_slot = 51;
};

/// Where the block sums of long bags wait. In the workspace; sizes in
/// src/cuda/gradient_workspace.cu.
struct long_bag_work {
  float* sums;  // [slots, stride]: of a bag's blocks, one after the other
  std::int64_t stride;
  // [slots, strips], at a bag's first slot: lookups whose sums are there (high word), and how many
  // of them count in a mean (low word). 0 between launches.
  unsigned long long* arrived;
  std::int64_t strips;
};

struct pool_shape {
  std::uint8_t width;      // elements per access of a row: 8, 4, 2, 1
  std::uint8_t log_group;  // log2 of the lanes per output row
  lookup_kind lookups;
  bool whole_output;            // output rows take accesses as wide (of at most 16 bytes)
  std::uint16_t rows_per_warp;  // output rows a warp makes
  std::uint16_t strips;         // warps per output row
};

/// What the warps of a feature need to know. Its warps are numbers first_warp, ..., strip by strip.
/// Outputs that took 2^32 warps would fill more than 500 GB.
struct alignas(16) pool_record {
  std::uint32_t first_warp;
  std::uint32_t strip_warps;  // of a strip of the output
  std::uint32_t row_warps;    // of these: the first; the others take pieces of long bags
  std::uint32_t num_bags;
  pool_shape shape;
  std::int32_t dim;
  dtype row_type;
  pooling_mode mode;
  bool has_last_offset;
  bool sampled;  // may_share_rows: bits of its lookups tell which rows are hot
  const void* rows;
  std::int64_t row_stride;  // elements
  const void* ids;
  const void* offsets;  // nullptr: fixed hotness
  void* output;
  std::int64_t output_stride;  // elements
  const float* weights;        // nullptr: all 1
  std::uint32_t hotness;
  std::uint32_t num_ids;  // a batch has fewer than 2^32 - 1
  std::int64_t num_rows;
  std::int64_t padding_idx;
  std::int32_t* max_positions;
  std::uint32_t first_position;
  std::uint32_t first_bag;
};

/// Elements per access, at most `widest`, that suit every row of a matrix.
inline int whole_width(const void* base, std::int64_t stride, std::int64_t dim, dtype type,
                       int widest) {
  const std::uint64_t all = reinterpret_cast<std::uint64_t>(base) / size_of(type) |
                            static_cast<std::uint64_t>(stride) | static_cast<std::uint64_t>(dim);
  int width = widest;
  while (all % static_cast<unsigned>(width) != 0) width /= 2;
  return width;
}

inline pool_shape pool_shape_of(const table_record& table, const feature_record& feature,
                                bad_id_policy policy, dtype output_type,
                                std::int64_t rows_per_group) {
  constexpr int lanes = 32;
  constexpr int quad = 4;
  constexpr std::int64_t narrow = std::int64_t{1} << 32;
  const auto access = [](dtype type) { return 16 / static_cast<int>(size_of(type)); };
  pool_shape shape = {};
  const int width =
      whole_width(table.rows, table.row_stride, table.dim, table.row_type, access(table.row_type));
  const int elements = std::max(width, quad);
  const int output = std::min(width, access(output_type));
  shape.width = static_cast<std::uint8_t>(width);
  while (shape.log_group < 5 && (elements << shape.log_group) < table.dim) ++shape.log_group;
  const bool checked =
      policy != bad_id_policy::error || table.padding_idx >= 0 || table.num_rows > narrow ||
      (feature.weights != nullptr && width < elements) ||
      (table.row_type != dtype::f32 && width < elements) ||
      table.row_stride * static_cast<std::int64_t>(size_of(table.row_type)) >= narrow;
  shape.lookups = checked
                      ? lookup_kind::checked
                      : (feature.weights != nullptr ? lookup_kind::weighted : lookup_kind::plain);
  shape.whole_output =
      whole_width(feature.output, feature.output_stride, table.dim, output_type, output) == output;
  const int strip = lanes * elements;
  shape.rows_per_warp = static_cast<std::uint16_t>((lanes >> shape.log_group) * rows_per_group);
  shape.strips = static_cast<std::uint16_t>((table.dim + strip - 1) / strip);
  return shape;
}

/// Without the numbers of its warps.
inline pool_record pool_record_of(const table_record& table, const feature_record& feature) {
  pool_record record = {};
  record.num_bags = static_cast<std::uint32_t>(feature.num_bags);
  record.dim = table.dim;
  record.row_type = table.row_type;
  record.mode = feature.mode;
  record.has_last_offset = feature.has_last_offset;
  record.sampled = may_share_rows(table, feature);
  record.rows = table.rows;
  record.row_stride = table.row_stride;
  record.ids = feature.ids;
  record.offsets = feature.offsets;
  record.output = feature.output;
  record.output_stride = feature.output_stride;
  record.weights = feature.weights;
  record.hotness = static_cast<std::uint32_t>(feature.hotness);
  record.num_ids = static_cast<std::uint32_t>(feature.num_ids);
  record.num_rows = table.num_rows;
  record.padding_idx = table.padding_idx;
  record.max_positions = feature.max_positions;
  record.first_position = static_cast<std::uint32_t>(feature.first_position);
  record.first_bag = static_cast<std::uint32_t>(feature.first_bag);
  return record;
}

}  // namespace warpbag::kernels
