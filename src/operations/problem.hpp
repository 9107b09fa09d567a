// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every operation of every backend works on: plain records of the tables and features of one
// call. They are trivially copyable, hold pointers into memory of the call's device and are checked
// before a backend sees them (src/collection/validate.cpp), so that backends test contents (ids,
// offsets) and nothing else.
//
// Lexicon. Position: index of a lookup in the ids of all features laid end to end (feature f starts
// at first_position). Global row: index of a row in all tables laid end to end (table t starts at
// first_row). Occurrence: a position that reads a row and trains it (not padding, not bad). Run:
// the occurrences of one row, in position order. Slice: which of the 64 parts of the batch a sample
// is in (numerics N3).

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "numerics/row_routing.hpp"
#include "warpbag/optimizer.hpp"
#include "warpbag/types.hpp"

namespace warpbag::operations {

/// Where the finished gradient of a table's rows goes.
enum class gradient_form : std::uint8_t {
  none,    ///< frozen: it is not computed
  fused,   ///< into the rows, through the optimizer
  sparse,  ///< rows_out[k] = k-th touched row (ascending), values_out[k] = its gradient, *count_out
           ///< = how many
  dense    ///< values_out[row] for every row of the table, zero where untouched
};

struct gradient_record {
  gradient_form form = gradient_form::none;
  dtype value_type = dtype::f32;
  void* values = nullptr;         // sparse: [capacity, dim]; dense: [num_rows, dim]; contiguous
  std::int64_t* rows = nullptr;   // sparse: [capacity], row numbers within the table
  std::int64_t* count = nullptr;  // sparse: number of rows written
  std::int64_t capacity = 0;      // sparse: >= min(num_rows, ids of the table's features)
};

/// Which part of a whole table a record's memory holds, for a shard. Random numbers are keyed by
/// row ids and columns of the whole table (N5).
enum class row_numbering : std::uint8_t {
  own,     ///< row r is id r
  routed,  ///< row r is id numerics::id_of(routing, num_owners, {owner, r})
  listed   ///< row r is id ids[r]
};

struct shard_record {
  row_numbering numbering = row_numbering::own;
  std::int32_t num_owners = 1;
  std::int32_t owner = 0;
  std::int32_t first_column = 0;  // a multiple of 4: the column of the whole table that is column 0
  numerics::row_routing routing;
  const std::int64_t* ids = nullptr;  // listed: [num_rows], in memory of the device
  /// Sums over rows of which this record has some columns only (backend::add_row_lanes): the 32
  /// lanes of N4 of the k-th touched row are row_lanes[i][32 k, ...]. Of row_lanes[0] nullptr: the
  /// record's columns are the whole row.
  float* row_lanes[3] = {nullptr, nullptr, nullptr};
  std::int32_t whole_dim = 0;  // columns of the whole row, where row_lanes is set

  WARPBAG_HOST_DEVICE std::int64_t id_of(std::int64_t row) const {
    switch (numbering) {
      case row_numbering::routed: return numerics::id_of(routing, num_owners, {owner, row});
      case row_numbering::listed: return ids[row];
      case row_numbering::own: break;
    }
    return row;
  }
};

struct table_record {
  void* rows = nullptr;  // [num_rows, dim] of row_type
  std::int64_t num_rows = 0;
  std::int64_t row_stride = 0;    // elements
  std::int64_t first_row = 0;     // global row of row 0
  std::int64_t padding_idx = -1;  // -1: none
  std::int32_t dim = 0;
  dtype row_type = dtype::f32;
  bool scale_grad_by_freq = false;
  bool renormalize = false;  // max_norm is set
  float max_norm = 0.0F;
  float norm_type = 2.0F;       // > 0, may be infinity
  std::uint32_t rng_table = 0;  // key of the table in random numbers (N5)
  std::uint64_t seed = 0;
  optimizer_options optimizer = {};
  float* state[2] = {
      nullptr,
      nullptr};  // shapes: optimizer_state_shape; per_element is [num_rows, dim] contiguous
  step_state* step = nullptr;
  gradient_record gradient;
  shard_record shard;
};

/// A lookup that stands for a partial sum of N3, made elsewhere, of a subtree of the gradient tree.
/// In the tree it is one occurrence in the subtree's first slice: the sums around it that it is
/// alone in change no bit. The slices of a row's partials in one feature do not descend.
struct partial_record {
  std::int32_t slice = 0;
  std::uint32_t occurrences = 1;  // that it sums: what scale_grad_by_freq counts
};

struct feature_record {
  std::int32_t table = 0;
  pooling_mode mode = pooling_mode::sum;
  bool has_last_offset = false;
  const void* ids = nullptr;      // [num_ids] of problem::ids_type
  const void* offsets = nullptr;  // nullptr: fixed hotness
  const float* weights = nullptr;
  std::int64_t num_ids = 0;
  std::int64_t num_bags = 0;
  std::int64_t hotness = 0;
  std::int64_t first_position = 0;  // sum of num_ids of the features before
  std::int64_t first_bag = 0;       // sum of num_bags of the features before
  std::int64_t first_sample = 0;    // number of bag 0 in the global batch
  std::int64_t batch = 0;           // samples of the global batch (num_bags on one device)
  void* output = nullptr;          // [num_bags or (mode none) num_ids, dim] of problem::output_type
  std::int64_t output_stride = 0;  // elements
  const void* gradient = nullptr;  // gradient of output, of problem::gradient_type
  std::int64_t gradient_stride = 0;
  float* weight_gradient = nullptr;  // [num_ids] gradient of weights, or nullptr: not wanted
  std::int32_t* max_positions =
      nullptr;  // mode max: [num_bags, dim], position within the bag that won; -1: none
  const partial_record* partials =
      nullptr;  // [num_ids]; mode none with hotness 1: lookups are
                // partial sums, and first_sample and batch mean nothing
};

static_assert(std::is_trivially_copyable_v<table_record> &&
              std::is_trivially_copyable_v<feature_record>);

struct problem {
  std::span<const table_record> tables;      // host memory
  std::span<const feature_record> features;  // host memory
  index_type ids_type = index_type::i64;
  dtype output_type = dtype::f32;
  dtype gradient_type = dtype::f32;
  bad_id_policy policy = bad_id_policy::error;
  std::int64_t total_rows = 0;
  std::int64_t total_positions = 0;  // < 2^32 - 1: positions are 32-bit payload of the sort
  std::int64_t total_bags = 0;
};

/// Upper bounds that a workspace is sized for.
struct problem_limits {
  std::int64_t tables = 0;
  std::int64_t features = 0;
  std::int64_t positions = 0;
  std::int64_t bags = 0;
  std::int64_t rows = 0;     // total_rows
  std::int64_t max_dim = 0;  // widest table
  bool weighted = false;     // some feature has weights
  bool routed = false;       // route and the operations after it are called
};

/// The smallest limits that both fit in.
constexpr problem_limits united(const problem_limits& a, const problem_limits& b) {
  return {std::max(a.tables, b.tables),       std::max(a.features, b.features),
          std::max(a.positions, b.positions), std::max(a.bags, b.bags),
          std::max(a.rows, b.rows),           std::max(a.max_dim, b.max_dim),
          a.weighted || b.weighted,           a.routed || b.routed};
}

constexpr bool within(const problem_limits& small, const problem_limits& large) {
  return small.tables <= large.tables && small.features <= large.features &&
         small.positions <= large.positions && small.bags <= large.bags &&
         small.rows <= large.rows && small.max_dim <= large.max_dim &&
         (large.weighted || !small.weighted) && (large.routed || !small.routed);
}

}  // namespace warpbag::operations
