// SPDX-License-Identifier: Apache-2.0
#include "operations/moved_bytes.hpp"

#include <algorithm>
#include <bit>

namespace warpbag::operations {

namespace {

constexpr double row_number_bytes = sizeof(std::int64_t);
constexpr double position_bytes = sizeof(std::uint32_t);
constexpr std::int64_t pass_bits = 8;

double as_double(std::int64_t count) { return static_cast<double>(count); }

double bytes_of(dtype type) { return static_cast<double>(size_of(type)); }

const table_record& table_of(const problem& problem, const feature_record& feature) {
  return problem.tables[static_cast<std::size_t>(feature.table)];
}

std::int64_t output_rows(const feature_record& feature) {
  return feature.mode == pooling_mode::none ? feature.num_ids : feature.num_bags;
}

double index_bytes(const problem& problem) {
  double count = 0.0;
  for (const feature_record& feature : problem.features) {
    count += as_double(feature.num_ids);
    if (feature.offsets != nullptr) {
      count += as_double(feature.num_bags + (feature.has_last_offset ? 1 : 0));
    }
  }
  return count * static_cast<double>(size_of(problem.ids_type));
}

double weight_bytes(const problem& problem) {
  double count = 0.0;
  for (const feature_record& feature : problem.features) {
    if (feature.weights != nullptr) count += as_double(feature.num_ids);
  }
  return count * static_cast<double>(sizeof(float));
}

double sum(std::span<const std::int64_t> counts) {
  double total = 0.0;
  for (const std::int64_t count : counts) total += as_double(count);
  return total;
}

/// Of one row, all states together.
double state_bytes(const table_record& table) {
  double elements = 0.0;
  for (const int index : {0, 1}) {
    switch (optimizer_state_shape(table.optimizer, index)) {
      case state_shape::absent: break;
      case state_shape::per_row: elements += 1.0; break;
      case state_shape::per_element: elements += as_double(table.dim); break;
    }
  }
  return elements * static_cast<double>(sizeof(float));
}

/// Where the gradient of `rows` touched rows goes.
double written_bytes(const table_record& table, double rows) {
  const double dim = as_double(table.dim);
  const double value_bytes = dim * bytes_of(table.gradient.value_type);
  switch (table.gradient.form) {
    case gradient_form::none: break;
    case gradient_form::fused:
      return rows * 2.0 * (dim * bytes_of(table.row_type) + state_bytes(table));
    case gradient_form::sparse: return rows * (row_number_bytes + value_bytes);
    case gradient_form::dense: return as_double(table.num_rows) * value_bytes;
  }
  return 0.0;
}

}  // namespace

moved_bytes pool_bytes(const problem& problem, std::span<const std::int64_t> distinct_rows) {
  const double once = index_bytes(problem) + weight_bytes(problem);
  moved_bytes bytes = {once, once};
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    const table_record& table = problem.tables[t];
    bytes.floor += as_double(distinct_rows[t]) * as_double(table.dim) * bytes_of(table.row_type);
  }
  for (const feature_record& feature : problem.features) {
    const table_record& table = table_of(problem, feature);
    const double dim = as_double(table.dim);
    double written = as_double(output_rows(feature)) * dim * bytes_of(problem.output_type);
    if (feature.mode == pooling_mode::max) {
      written += as_double(feature.num_bags) * dim * static_cast<double>(sizeof(std::int32_t));
    }
    bytes.floor += written;
    bytes.logical += written + as_double(feature.num_ids) * dim * bytes_of(table.row_type);
  }
  return bytes;
}

moved_bytes deduplicate_bytes(const problem& problem, std::span<const std::int64_t> distinct_rows) {
  const auto last_row =
      static_cast<std::uint64_t>(std::max<std::int64_t>(problem.total_rows - 1, 1));
  const std::int64_t row_bits = static_cast<std::int64_t>(std::bit_width(last_row));
  const double key_bytes = row_bits <= 32 ? 4.0 : 8.0;
  const double passes = as_double((row_bits + pass_bits - 1) / pass_bits);
  const double lookups = as_double(problem.total_positions);
  const double total = index_bytes(problem) +
                       lookups * (key_bytes + passes * 2.0 * (key_bytes + position_bytes)) +
                       sum(distinct_rows) * (row_number_bytes + position_bytes);
  return {total, total};
}

moved_bytes reduce_gradients_bytes(const problem& problem,
                                   std::span<const std::int64_t> distinct_rows) {
  double once = weight_bytes(problem) + as_double(problem.total_positions) * position_bytes +
                sum(distinct_rows) * (row_number_bytes + position_bytes);
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    once += written_bytes(problem.tables[t], as_double(distinct_rows[t]));
  }
  moved_bytes bytes = {once, once};
  for (const feature_record& feature : problem.features) {
    const table_record& table = table_of(problem, feature);
    if (table.gradient.form == gradient_form::none) continue;
    const double row = as_double(table.dim) * bytes_of(problem.gradient_type);
    bytes.floor += as_double(output_rows(feature)) * row;
    bytes.logical += as_double(feature.num_ids) * row;
  }
  return bytes;
}

}  // namespace warpbag::operations
