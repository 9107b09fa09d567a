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

#include <cstdint>
#include <span>
#include <type_traits>

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
};

}  // namespace warpbag::operations
