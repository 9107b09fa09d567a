// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"

#include <algorithm>
#include <cmath>

#include "warpbag/error.hpp"

namespace warpbag::bench {

namespace {

constexpr std::int64_t kept_rows = 1000;

}  // namespace

std::string_view to_string(bag_shape shape) {
  switch (shape) {
    case bag_shape::fixed: return "fixed";
    case bag_shape::jagged: return "jagged";
    case bag_shape::one_long: return "one_long";
  }
  return "unknown";
}

double table_bytes(const workload& workload) {
  double bytes = 0.0;
  for (const workload_table& table : workload.tables) {
    const double elements = static_cast<double>(table.dim);
    double row = elements * static_cast<double>(size_of(workload.type));
    for (const int index : {0, 1}) {
      const state_shape shape = optimizer_state_shape(workload.optimizer, index);
      if (shape == state_shape::per_row) row += sizeof(float);
      if (shape == state_shape::per_element) row += elements * sizeof(float);
    }
    bytes += static_cast<double>(table.rows) * row;
  }
  return bytes;
}

workload scaled(workload workload, double factor) {
  if (!(factor > 0.0)) throw invalid_argument("scale must be positive");
  for (workload_table& table : workload.tables) {
    if (table.rows <= kept_rows && factor < 1.0) continue;
    const double rows = std::round(static_cast<double>(table.rows) * factor);
    table.rows = std::max(static_cast<std::int64_t>(rows), std::min(table.rows, kept_rows));
  }
  return workload;
}

workload fitted(workload workload, double bytes) {
  const double needed = table_bytes(workload);
  return needed <= bytes ? workload : scaled(std::move(workload), bytes / needed);
}

}  // namespace warpbag::bench
