// SPDX-License-Identifier: Apache-2.0
#include "support/problem_data.hpp"

#include <algorithm>

namespace warpbag::support {

using operations::feature_record;
using operations::problem_limits;
using operations::table_record;

namespace {

using placement = std::function<std::byte*(buffer&)>;

template <typename Pointer>
void point(Pointer& pointer, buffer& contents, const placement& place) {
  pointer = nullptr;
  if (!contents.present) return;
  void* address = place(contents) + contents.lead_bytes();
  pointer = static_cast<Pointer>(address);
}

table_record bind_table(table_data& data, const placement& place) {
  table_record record = data.record;
  point(record.rows, data.rows, place);
  point(record.state[0], data.state[0], place);
  point(record.state[1], data.state[1], place);
  point(record.step, data.step, place);
  point(record.gradient.values, data.gradient_values, place);
  point(record.gradient.rows, data.gradient_rows, place);
  point(record.gradient.count, data.gradient_count, place);
  return record;
}

feature_record bind_feature(feature_data& data, const placement& place) {
  feature_record record = data.record;
  point(record.ids, data.ids, place);
  point(record.offsets, data.offsets, place);
  point(record.weights, data.weights, place);
  point(record.output, data.output, place);
  point(record.gradient, data.gradient, place);
  point(record.weight_gradient, data.weight_gradient, place);
  point(record.max_positions, data.max_positions, place);
  return record;
}

}  // namespace

bound_problem bind(problem_data& data, const placement& place) {
  bound_problem bound;
  operations::problem& problem = bound.problem;
  for (table_data& table : data.tables) {
    table_record record = bind_table(table, place);
    record.first_row = problem.total_rows;
    problem.total_rows += record.num_rows;
    bound.tables.push_back(record);
  }
  for (feature_data& feature : data.features) {
    feature_record record = bind_feature(feature, place);
    record.first_position = problem.total_positions;
    record.first_bag = problem.total_bags;
    problem.total_positions += record.num_ids;
    problem.total_bags += record.num_bags;
    bound.features.push_back(record);
  }
  problem.ids_type = data.ids_type;
  problem.output_type = data.output_type;
  problem.gradient_type = data.gradient_type;
  problem.policy = data.policy;
  problem.tables = bound.tables;
  problem.features = bound.features;
  return bound;
}

bound_problem bind(problem_data& data) {
  return bind(data, [](buffer& contents) { return contents.bytes.data(); });
}

problem_limits limits_of(const operations::problem& problem) {
  problem_limits limits;
  limits.tables = static_cast<std::int64_t>(problem.tables.size());
  limits.features = static_cast<std::int64_t>(problem.features.size());
  limits.positions = problem.total_positions;
  limits.bags = problem.total_bags;
  limits.rows = problem.total_rows;
  for (const table_record& table : problem.tables) {
    limits.max_dim = std::max<std::int64_t>(limits.max_dim, table.dim);
  }
  for (const feature_record& feature : problem.features) {
    limits.weighted = limits.weighted || feature.weights != nullptr;
  }
  return limits;
}

void visit_buffers(problem_data& data,
                   const std::function<void(const std::string&, buffer&, bool)>& visit) {
  const auto present = [&](const std::string& name, buffer& contents, bool is_written) {
    if (contents.present) visit(name, contents, is_written);
  };
  for (std::size_t t = 0; t < data.tables.size(); ++t) {
    table_data& table = data.tables[t];
    const std::string owner = "table " + std::to_string(t) + " ";
    present(owner + "rows", table.rows, true);
    present(owner + "state 0", table.state[0], true);
    present(owner + "state 1", table.state[1], true);
    present(owner + "step", table.step, true);
    present(owner + "gradient rows", table.gradient_rows, true);
    present(owner + "gradient count", table.gradient_count, true);
    present(owner + "gradient values", table.gradient_values, true);
  }
  for (std::size_t f = 0; f < data.features.size(); ++f) {
    feature_data& feature = data.features[f];
    const std::string owner = "feature " + std::to_string(f) + " ";
    present(owner + "ids", feature.ids, false);
    present(owner + "offsets", feature.offsets, false);
    present(owner + "weights", feature.weights, false);
    present(owner + "gradient", feature.gradient, false);
    present(owner + "output", feature.output, true);
    present(owner + "max positions", feature.max_positions, true);
    present(owner + "weight gradient", feature.weight_gradient, true);
  }
}

std::string difference(problem_data& expected, problem_data& actual) {
  std::vector<const buffer*> others;
  visit_buffers(actual,
                [&](const std::string&, buffer& contents, bool) { others.push_back(&contents); });
  std::string text;
  std::size_t next = 0;
  visit_buffers(expected, [&](const std::string& name, buffer& contents, bool) {
    const std::string line = difference(contents, *others.at(next++));
    if (!line.empty()) text += name + ": " + line + "\n";
  });
  return text;
}

}  // namespace warpbag::support
