// SPDX-License-Identifier: Apache-2.0
#pragma once
// A whole problem by value, in host memory: tables with their states, and a batch. Copy it to keep
// what it was; bind it to make the records that operations take.

#include <functional>
#include <string>
#include <vector>

#include "operations/problem.hpp"
#include "support/buffer.hpp"

namespace warpbag::support {

struct table_data {
  operations::table_record record;  // without pointers
  buffer rows;
  buffer state[2];
  buffer step;
  buffer gradient_values;
  buffer gradient_rows;
  buffer gradient_count;
};

struct feature_data {
  operations::feature_record record;  // without pointers
  buffer ids;
  buffer offsets;
  buffer weights;
  buffer output;
  buffer gradient;
  buffer weight_gradient;
  buffer max_positions;
};

struct problem_data {
  std::vector<table_data> tables;
  std::vector<feature_data> features;
  index_type ids_type = index_type::i64;
  dtype output_type = dtype::f32;
  dtype gradient_type = dtype::f32;
  bad_id_policy policy = bad_id_policy::error;
};

/// Records that point at some copy of a problem_data.
struct bound_problem {
  std::vector<operations::table_record> tables;
  std::vector<operations::feature_record> features;
  operations::problem problem;  // spans over the two

  bound_problem() = default;
  bound_problem(bound_problem&&) = default;
  bound_problem& operator=(bound_problem&&) = default;
};

/// `place` gives the address of a buffer's first byte (before its lead) on the device. Sets the
/// running sums (first_row, first_position, first_bag) and totals.
bound_problem bind(problem_data& data, const std::function<std::byte*(buffer&)>& place);

/// Bound to the buffers themselves.
bound_problem bind(problem_data& data);

operations::problem_limits limits_of(const operations::problem& problem);

/// Every present buffer with its name; `is_written`: operations may write it.
void visit_buffers(
    problem_data& data,
    const std::function<void(const std::string& name, buffer& contents, bool is_written)>& visit);

/// Empty when both hold the same bits (all NaNs the same); else one line for each buffer that
/// differs.
std::string difference(problem_data& expected, problem_data& actual);

}  // namespace warpbag::support
