// SPDX-License-Identifier: Apache-2.0
#include "bench/result_table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

#include "bench/run.hpp"
#include "operations/tuning.hpp"

namespace warpbag::bench {

namespace {

template <typename... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 512> text;
  const int size = std::snprintf(text.data(), text.size(), format, values...);
  return {text.data(), std::min(static_cast<std::size_t>(size), text.size() - 1)};
}

template <typename Number>
std::string range_of(const workload& workload, Number workload_table::*number) {
  const auto [least, most] =
      std::minmax_element(workload.tables.begin(), workload.tables.end(),
                          [&](const auto& a, const auto& b) { return a.*number < b.*number; });
  const std::string first = std::to_string((*least).*number);
  const std::string last = std::to_string((*most).*number);
  return first == last ? first : first + ".." + last;
}

}  // namespace

std::string_view to_string(cache_state state) {
  return state == cache_state::warm ? "warm" : "cold";
}

void print_result_header(std::ostream& out) {
  out << formatted("%-36s %9s %9s %8s %9s %10s %9s %9s %9s %9s %7s %7s\n", "workload/call/cache",
                   "lookups", "unique", "hottest", "floor MB", "logical MB", "min ms", "p50 ms",
                   "p99 ms", "cpu ms", "GB/s", "% floor");
}

void print_result(std::ostream& out, const result_line& line) {
  out << formatted("%-36s %9.0f %9.0f %8.0f %9.2f %10.2f %9.3f %9.3f %9.3f %9.3f %7.2f %7.1f\n",
                   line.name.c_str(), line.lookups, line.unique_rows, line.hottest_row,
                   line.floor_bytes / 1e6, line.logical_bytes / 1e6, line.least * 1e3,
                   line.p50 * 1e3, line.p99 * 1e3, line.cpu * 1e3, line.logical_bandwidth,
                   line.percent_of_floor);
  out.flush();
}

void print_tuning(std::ostream& out) {
  const auto print = [&](const char* backend, const operations::tuning_choice& choice) {
    out << formatted("%-5s %-42s %8lld  %s\n", backend, choice.name,
                     static_cast<long long>(choice.value), choice.why);
  };
  for (const operations::tuning_choice& choice : operations::cpu_tuning()) print("cpu", choice);
  for (const operations::tuning_choice& choice : operations::cuda_tuning()) print("cuda", choice);
}

std::string description(const workload& workload) {
  std::string text = "T=" + std::to_string(workload.tables.size()) +
                     " E=" + range_of(workload, &workload_table::rows) +
                     " D=" + range_of(workload, &workload_table::dim) +
                     " B=" + std::to_string(workload.batch) +
                     " L=" + range_of(workload, &workload_table::hotness);
  const auto word = [&](std::string_view value) { text += " " + std::string(value); };
  word(to_string(workload.type));
  word(to_string(workload.ids));
  word(to_string(workload.pooling));
  word(to_string(workload.law));
  if (workload.alpha != 0.0) text += formatted(" alpha=%g", workload.alpha);
  if (workload.shape != bag_shape::fixed) word(to_string(workload.shape));
  if (workload.weighted) word("weighted");
  if (workload.bad_share > 0.0) text += formatted(" bad=%g", workload.bad_share);
  if (workload.all_padding) word("all_padding");
  const optimizer_options& optimizer = workload.optimizer;
  word(to_string(optimizer.kind));
  if (optimizer.momentum != 0.0F) word("momentum");
  if (optimizer.decay_mode != weight_decay_mode::none) {
    word("decay=" + std::string(to_string(optimizer.decay_mode)));
  }
  if (optimizer.clipping != clipping_kind::none) {
    word("clip=" + std::string(to_string(optimizer.clipping)));
  }
  if (optimizer.stochastic_rounding) word("stochastic_rounding");
  if (workload.scale_grad_by_freq) word("scale_grad_by_freq");
  return text;
}

}  // namespace warpbag::bench
