// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "bench/dump.hpp"
#include "bench/result_table.hpp"
#include "bench/run.hpp"
#include "cli/choice_option.hpp"
#include "cli/device_options.hpp"
#include "cli/exit_code.hpp"
#include "cli/optimizer_options.hpp"
#include "cli/verbs.hpp"

namespace warpbag::cli {

namespace {

using bench::workload;

constexpr double gibi = 1073741824.0;
constexpr const char* custom = "custom";

/// Changes to every workload, in the order they were made options; those not given change nothing.
struct axes {
  std::optional<std::int64_t> rows;
  std::optional<std::int64_t> dim;
  std::optional<std::int64_t> batch;
  std::optional<std::int64_t> hotness;
  std::optional<std::int64_t> tables;
  std::optional<double> alpha;
  std::optional<dtype> type;
  std::optional<index_type> ids;
  std::optional<pooling_mode> pooling;
  std::optional<optimizer_kind> optimizer;
  optimizer_options optimizer_numbers;  // all but the kind
  std::optional<bench::id_law> law;
  std::optional<bench::bag_shape> shape;
  std::optional<std::uint64_t> seed;
  bool weighted = false;
  bool scale_grad_by_freq = false;
};

struct bench_arguments {
  std::vector<std::string> workloads = {"fbgemm-default"};
  std::vector<std::string> calls = {};
  std::string cache = "warm";
  axes changes;
  double memory_gib = 4.0;
  double scale = 1.0;
  double bandwidth = 0.0;  // GB/s
  std::string dump;
  bool tuning = false;
  bench::run_options run;
  device_options device;
};

template <typename Value>
void set(Value& value, const std::optional<Value>& change) {
  if (change.has_value()) value = *change;
}

void change(workload& workload, const axes& axes) {
  if (axes.tables.has_value()) {
    workload.tables.resize(static_cast<std::size_t>(*axes.tables), workload.tables.front());
  }
  for (bench::workload_table& table : workload.tables) {
    set(table.rows, axes.rows);
    set(table.dim, axes.dim);
    set(table.hotness, axes.hotness);
  }
  set(workload.batch, axes.batch);
  set(workload.alpha, axes.alpha);
  set(workload.type, axes.type);
  set(workload.ids, axes.ids);
  set(workload.pooling, axes.pooling);
  const optimizer_kind kind = axes.optimizer.value_or(workload.optimizer.kind);
  workload.optimizer = axes.optimizer_numbers;
  workload.optimizer.kind = kind;
  set(workload.law, axes.law);
  set(workload.shape, axes.shape);
  set(workload.seed, axes.seed);
  workload.weighted = workload.weighted || axes.weighted;
  workload.scale_grad_by_freq = workload.scale_grad_by_freq || axes.scale_grad_by_freq;
}

std::vector<workload> workloads_of(const bench_arguments& arguments) {
  std::vector<workload> all;
  for (const std::string& name : arguments.workloads) {
    std::vector<workload> points = {{.name = custom, .tables = {{1'000'000, 128, 20}}}};
    if (name != custom) points = bench::named_workloads(name);
    for (workload& point : points) {
      change(point, arguments.changes);
      all.push_back(bench::fitted(bench::scaled(std::move(point), arguments.scale),
                                  arguments.memory_gib * gibi));
    }
  }
  return all;
}

std::vector<bench::cache_state> caches_of(const std::string& name) {
  if (name == "warm") return {bench::cache_state::warm};
  if (name == "cold") return {bench::cache_state::cold};
  return {bench::cache_state::warm, bench::cache_state::cold};
}

int run_bench(const bench_arguments& arguments) {
  if (arguments.tuning) {
    bench::print_tuning(std::cout);
    return exit_ok;
  }
  bench::run_options options = arguments.run;
  options.workloads = workloads_of(arguments);
  if (!arguments.dump.empty()) {
    if (options.workloads.size() != 1) throw invalid_argument("--dump takes one workload");
    bench::dump(options.workloads.front(), arguments.dump);
    return exit_ok;
  }
  const auto calls = names_up_to(bench::measured_call::train_step);
  for (const std::string& name : arguments.calls) {
    options.calls.push_back(parse_choice("--call", name, calls));
  }
  if (options.calls.empty()) {
    for (const auto& [name, call] : calls) options.calls.push_back(call);
    std::sort(options.calls.begin(), options.calls.end());
  }
  options.caches = caches_of(arguments.cache);
  options.bandwidth = arguments.bandwidth * 1e9;
  const device where = parse_device(arguments.device);
  const auto device = where.kind == device_kind::cpu
                          ? bench::make_cpu_bench_device(arguments.device.threads)
                          : bench::make_cuda_bench_device(where.ordinal);
  bench::run_benchmarks(options, *device, std::cout);
  return exit_ok;
}

void add_axes(CLI::App& command, axes& axes) {
  const auto number = [&](const char* name, auto& value, const char* what) {
    command.add_option(name, value, what)->check(CLI::PositiveNumber)->group("Axes");
  };
  const auto choice = [&](const char* name, auto& value, const auto& names, const char* what) {
    command
        .add_option_function<std::string>(
            name, [&value, names](const std::string& text) { value = names.at(text); }, what)
        ->check(CLI::IsMember(keys_of(names)))
        ->group("Axes");
  };
  number("--rows", axes.rows, "Rows of every table");
  number("--dim", axes.dim, "Elements of a row");
  number("--batch", axes.batch, "Bags of a feature");
  number("--hotness", axes.hotness, "Ids of a bag");
  number("--tables", axes.tables, "Number of tables, each with a feature");
  choice("--law", axes.law, names_up_to(bench::id_law::all_equal), "Law of the ids");
  command.add_option("--alpha", axes.alpha, "Exponent of the law")->group("Axes");
  choice("--bags", axes.shape, names_up_to(bench::bag_shape::one_long), "Sizes of the bags");
  choice("--dtype", axes.type, names_up_to(dtype::bf16), "Rows, outputs and gradients");
  choice("--ids", axes.ids, names_up_to(index_type::i64), "Ids and offsets");
  choice("--pooling", axes.pooling, names_up_to(pooling_mode::none), "");
  choice("--optimizer", axes.optimizer, names_up_to(optimizer_kind::ftrl), "");
  add_optimizer_options(command, axes.optimizer_numbers);
  command.add_flag("--weighted", axes.weighted, "Weights for each id")->group("Axes");
  command
      .add_flag("--scale-grad-by-freq", axes.scale_grad_by_freq,
                "Gradients of rows by their occurrences")
      ->group("Axes");
  command.add_option("--seed", axes.seed, "Of ids, weights and rows")->group("Axes");
}

void add_options(CLI::App& command, bench_arguments& arguments) {
  std::string names = custom;
  for (const std::string_view name : bench::workload_names()) names += ", " + std::string(name);
  command.add_option("workloads", arguments.workloads, "Any of: " + names)->capture_default_str();
  command.add_option("--call", arguments.calls,
                     "Any of: forward, deduplicate, backward_sparse, backward_fused, train_step; "
                     "default: all");
  command.add_option("--cache", arguments.cache, "Caches before each run")
      ->check(CLI::IsMember({"warm", "cold", "both"}))
      ->capture_default_str();
  add_axes(command, arguments.changes);
  command
      .add_option("--memory", arguments.memory_gib,
                  "GiB for tables and states; larger workloads get fewer rows")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--scale", arguments.scale, "Rows of the tables, times this")
      ->check(CLI::PositiveNumber);
  command.add_option("--min-time", arguments.run.min_seconds, "Seconds for each result at least")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--iterations", arguments.run.iterations, "Runs for each result, not by time")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--bandwidth", arguments.bandwidth,
                  "GB/s of memory that the floor is for; default: measured first")
      ->check(CLI::PositiveNumber);
  command.add_option("--dump", arguments.dump,
                     "Measure nothing; write the ids to this safetensors file");
  command.add_flag("--tuning", arguments.tuning,
                   "Measure nothing; print the choices that speed depends on, with their reasons");
  command.add_flag("--json", arguments.run.json, "Google Benchmark's JSON on stdout");
  add_device_options(command, arguments.device);
}

}  // namespace

verb add_bench(CLI::App& program) {
  const auto arguments = std::make_shared<bench_arguments>();
  CLI::App* const command =
      program.add_subcommand("bench", "Measure forward, backward and training steps");
  add_options(*command, *arguments);
  command->footer(
      "Example:\n"
      "  warpbag bench fbgemm-default --call forward backward_fused\n"
      "  warpbag bench custom --rows 1000000 --dim 64 --law power_law --alpha 1.15 --json");
  return {command, [arguments] { return run_bench(*arguments); }};
}

}  // namespace warpbag::cli
