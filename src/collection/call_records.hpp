// SPDX-License-Identifier: Apache-2.0
#pragma once
// The views of one call as the records that backends read.

#include <iosfwd>
#include <string>
#include <vector>

#include "operations/problem.hpp"

namespace warpbag::collection {

struct call_names;

/// A table or a feature as messages call it; becomes text only when a message is made.
struct subject {
  const call_names* names;
  bool is_table;
  std::size_t index;
};
std::ostream& operator<<(std::ostream& out, const subject& subject);

/// Names of tables and features; where there are none, messages give their numbers.
struct call_names {
  std::vector<std::string> tables;
  std::vector<std::string> features;

  subject table(std::size_t index) const { return {this, true, index}; }
  subject feature(std::size_t index) const { return {this, false, index}; }
};

/// Host memory that is reused from step to step.
struct call_records {
  std::vector<operations::table_record> tables;
  std::vector<operations::feature_record> features;
  index_type ids_type = index_type::i64;
  dtype output_type = dtype::f32;
  dtype gradient_type = dtype::f32;
  std::int64_t total_rows = 0;
  std::int64_t total_positions = 0;
  std::int64_t total_bags = 0;
  std::int64_t max_positions_size = 0;  // elements that features of mode max need

  operations::problem problem(bad_id_policy policy) const {
    return {tables, features,   ids_type,        output_type, gradient_type,
            policy, total_rows, total_positions, total_bags};
  }
  operations::problem_limits limits() const;
  /// Whether a gradient of weights in a mean is wanted: the CPU finds the bags' scales while it
  /// deduplicates, so that must come first.
  bool wants_weights_of_means() const;
};

}  // namespace warpbag::collection
