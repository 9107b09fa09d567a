// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a random test draws: every option of every table and feature, printable, and remade from its
// seed. Contents (rows, ids, weights, gradients) are drawn from the same seed.

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "operations/problem.hpp"
#include "support/problem_data.hpp"

namespace warpbag::support {

enum class bag_layout : std::uint8_t { fixed, offsets, offsets_with_last };
enum class id_choice : std::uint8_t { uniform, skewed, equal };
enum class bag_choice : std::uint8_t { even, mostly_empty, empty, one_takes_most };

/// ordinary: anything of magnitude about 1. verifiable: k / 256 with |k| <= 128, weights 0.5, 1 or
/// 2, so that sums are exact. special: also zeros of both signs, infinities, NaNs, subnormals and
/// huge values.
enum class value_choice : std::uint8_t { ordinary, verifiable, special };

struct table_configuration {
  std::int64_t num_rows = 0;
  std::int32_t dim = 0;
  std::int64_t row_gap = 0;   // stride - dim
  std::int64_t row_lead = 0;  // elements by which the rows are off their alignment
  dtype row_type = dtype::f32;
  std::int64_t padding_idx = -1;
  bool scale_grad_by_freq = false;
  bool renormalize = false;
  float max_norm = 0.0F;
  float norm_type = 2.0F;
  operations::gradient_form form = operations::gradient_form::fused;
  dtype value_type = dtype::f32;
  bool apply_sparse = false;  // form sparse with f32 values: update_rows follows
  std::uint64_t steps_done = 0;
  optimizer_options optimizer;
};

struct feature_configuration {
  std::int32_t table = 0;
  pooling_mode mode = pooling_mode::sum;
  bag_layout layout = bag_layout::fixed;
  bool weighted = false;
  bool wants_weight_gradient = false;
  std::int64_t num_bags = 0;
  std::int64_t num_lookups = 0;  // at most; fixed: hotness * num_bags
  std::int64_t unused_ids = 0;   // beyond the last offset
  id_choice ids = id_choice::uniform;
  bag_choice bags = bag_choice::even;
  std::int64_t output_gap = 0;
  std::int64_t gradient_gap = 0;
  std::int64_t first_sample = 0;
  std::int64_t batch = 0;
  std::vector<std::int64_t> lengths;  // of its bags; empty: drawn. Not for layout fixed
};

struct configuration {
  std::uint64_t seed = 0;
  index_type ids_type = index_type::i64;
  dtype output_type = dtype::f32;
  dtype gradient_type = dtype::f32;
  bad_id_policy policy = bad_id_policy::error;
  double bad_id_chance = 0.0;
  value_choice values = value_choice::ordinary;
  std::int64_t steps = 3;
  std::vector<table_configuration> tables;
  std::vector<feature_configuration> features;
};

std::ostream& operator<<(std::ostream& stream, const configuration& configuration);

/// Size of a drawn configuration: what one feature may look up, and lookups * dim. The largest are
/// drawn now and then; most are far smaller.
struct drawing_limits {
  std::int64_t max_lookups = 10000;
  std::int64_t max_elements = 200000;
};

configuration random_configuration(std::uint64_t seed, const drawing_limits& limits);

/// Tables and states of a configuration, without a batch.
problem_data make_tables(const configuration& configuration);

/// Replaces the batch by the one of `step` (shapes, ids, weights, output gradients; results are
/// filled with a pattern) and makes room for sparse and dense gradients.
void draw_batch(const configuration& configuration, std::int64_t step, problem_data& data);

/// Seeds of a test: first, first + 1, ... `count` of them; WARPBAG_TEST_SEED=n replays n alone,
/// WARPBAG_TEST_CONFIGURATIONS=n changes the count.
std::vector<std::uint64_t> seeds_of_test(std::uint64_t first, std::int64_t count);

}  // namespace warpbag::support
