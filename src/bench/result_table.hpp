// SPDX-License-Identifier: Apache-2.0
#pragma once
// Results as lines of text.

#include <iosfwd>
#include <string>

#include "bench/workload.hpp"

namespace warpbag::bench {

struct result_line {
  std::string name;
  double lookups;
  double unique_rows;
  double hottest_row;
  double floor_bytes;
  double logical_bytes;
  double least;  // seconds
  double p50;
  double p99;
  double cpu;
  double logical_bandwidth;  // GB/s
  double percent_of_floor;
};

void print_result_header(std::ostream& out);
void print_result(std::ostream& out, const result_line& line);

/// Every tuning choice of the CPU and of CUDA, a line each: its name, value and reason.
void print_tuning(std::ostream& out);

/// "T=32 E=100000 D=128 B=512 L=20 f32 sum uniform rowwise_adagrad"; ranges where tables differ.
std::string description(const workload& workload);

}  // namespace warpbag::bench
