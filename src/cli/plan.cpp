// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/plan_tables.hpp"
#include "cli/report_table.hpp"
#include "cli/verbs.hpp"
#include "warpbag/planner.hpp"

namespace warpbag::cli {

namespace {

constexpr double giga = 1e9;
constexpr double micro = 1e-6;
constexpr double gibi = 1073741824.0;

struct plan_options {
  std::string tables_file;
  std::vector<std::string> tables;
  topology machine;
  double memory_gib = static_cast<double>(topology().memory_bytes) / gibi;
  std::vector<double> bandwidths;  // memory, intra, inter: GB/s
  std::vector<double> latencies;   // intra, inter: microseconds
  bool measure = false;
  std::int64_t batch = 1024;
  bool allow_inexact = false;
  bool json = false;
  std::string output;
};

topology measured(const plan_options& options) {
  topology machine;
  in_process_world::run(options.machine.num_ranks, [&](transport& ranks) {
    const topology found = measure_topology(ranks, options.machine.ranks_per_node,
                                            static_cast<std::int64_t>(options.memory_gib * gibi));
    if (ranks.rank() == 0) machine = found;
  });
  return machine;
}

topology machine_of(const plan_options& options) {
  if (!(options.memory_gib > 0.0 && options.memory_gib < 1e9)) {
    throw invalid_argument("--memory must be positive");
  }
  topology machine = options.machine;
  if (options.measure) {
    machine.memory_bytes = 1;
    validate(machine);
    machine = measured(options);
  }
  machine.memory_bytes = static_cast<std::int64_t>(options.memory_gib * gibi);
  if (!options.bandwidths.empty()) {
    machine.memory_bandwidth = options.bandwidths[0] * giga;
    machine.intra_node.bandwidth = options.bandwidths[1] * giga;
    machine.inter_node.bandwidth = options.bandwidths[2] * giga;
  }
  if (!options.latencies.empty()) {
    machine.intra_node.latency = options.latencies[0] * micro;
    machine.inter_node.latency = options.latencies[1] * micro;
  }
  return machine;
}

std::string in_mib(double bytes) { return with_digits(bytes / 1048576.0, 1); }
std::string in_ms(double seconds) { return with_digits(seconds * 1e3, 3); }

/// "0-7", "3", "0-3,8-11"; long lists are cut.
std::string ranks_text(const table_plan& plan) {
  if (plan.kind == sharding_kind::data_parallel) return "all";
  std::string text;
  for (std::size_t i = 0; i < plan.ranks.size();) {
    std::size_t last = i;
    while (last + 1 < plan.ranks.size() && plan.ranks[last + 1] == plan.ranks[last] + 1) ++last;
    if (text.size() > 16) return text + ",...";
    text += (text.empty() ? "" : ",") + std::to_string(plan.ranks[i]);
    if (last > i) text += "-" + std::to_string(plan.ranks[last]);
    i = last + 1;
  }
  return text;
}

std::string kind_text(const table_plan& plan) {
  std::string text(to_string(plan.kind));
  if (plan.column_pieces > 1) text += "/" + std::to_string(plan.column_pieces);
  if (!plan.replicated_rows.empty()) text += "+" + std::to_string(plan.replicated_rows.size());
  if (plan.exchange == row_exchange::partial_bags) text += " partial_bags";
  return text;
}

void print_text(const planned_tables& tables, const planning_result& result) {
  const step_prediction& step = result.prediction;
  std::vector<std::vector<std::string>> rows = {
      {"table", "kind", "ranks", "forward MiB", "backward MiB", "memory MiB", "ms", "why"}};
  for (std::size_t t = 0; t < tables.configs.size(); ++t) {
    const table_prediction& table = step.tables[t];
    const std::int64_t most =
        *std::max_element(table.memory_bytes.begin(), table.memory_bytes.end());
    rows.push_back({tables.configs[t].name, kind_text(result.plan.tables[t]),
                    ranks_text(result.plan.tables[t]), in_mib(table.bytes.forward),
                    in_mib(table.bytes.backward), in_mib(static_cast<double>(most)),
                    in_ms(table.seconds), table.why});
  }
  print_table(std::cout, rows);
  std::cout << "  bytes of all ranks; memory and time of the rank with most of the table\n\n";
  rows = {{"rank", "sent MiB", "received MiB", "memory MiB", "ms"}};
  for (std::size_t r = 0; r < step.ranks.size(); ++r) {
    const rank_prediction& rank = step.ranks[r];
    rows.push_back({std::to_string(r), in_mib(rank.sent_bytes), in_mib(rank.received_bytes),
                    in_mib(static_cast<double>(rank.memory_bytes)), in_ms(rank.seconds)});
  }
  print_table(std::cout, rows);
  std::cout << '\n';
  print_table(std::cout, {{"step", in_ms(step.seconds) + " ms"},
                          {"no plan below", in_ms(result.lower_bound) + " ms"},
                          {"gap", with_digits(100 * result.gap, 3) + " %"}});
}

nlohmann::ordered_json json_of(const planned_tables& tables, const planning_result& result) {
  using nlohmann::ordered_json;
  ordered_json of_tables = ordered_json::array();
  for (std::size_t t = 0; t < tables.configs.size(); ++t) {
    const table_prediction& table = result.prediction.tables[t];
    ordered_json alternatives = ordered_json::array();
    for (const table_alternative& other : table.alternatives) {
      alternatives.push_back({{"what", other.what}, {"fits", other.fits}});
      if (other.fits) alternatives.back()["seconds"] = other.seconds;
    }
    of_tables.push_back({{"table", tables.configs[t].name},
                         {"forward_bytes", table.bytes.forward},
                         {"backward_bytes", table.bytes.backward},
                         {"memory_bytes", table.memory_bytes},
                         {"seconds", table.seconds},
                         {"why", table.why},
                         {"alternatives", alternatives}});
  }
  ordered_json of_ranks = ordered_json::array();
  for (const rank_prediction& rank : result.prediction.ranks) {
    of_ranks.push_back({{"sent_bytes", rank.sent_bytes},
                        {"received_bytes", rank.received_bytes},
                        {"memory_bytes", rank.memory_bytes},
                        {"seconds", rank.seconds}});
  }
  return {{"plan", ordered_json::parse(to_json(result.plan))},
          {"tables", of_tables},
          {"ranks", of_ranks},
          {"forward_bytes", result.prediction.bytes.forward},
          {"backward_bytes", result.prediction.bytes.backward},
          {"header_bytes", result.prediction.header_bytes},
          {"seconds", result.prediction.seconds},
          {"lower_bound", result.lower_bound},
          {"gap", result.gap}};
}

void write_plan(const std::string& file, const sharding_plan& plan) {
  std::ofstream out(file, std::ios::binary);
  out << to_json(plan);
  out.close();
  if (!out) throw io_error("cannot write " + file);
}

int run_plan(const plan_options& options) {
  const planned_tables tables =
      options.tables_file.empty() ? parse_tables(options.tables) : read_tables(options.tables_file);
  const planning_result result =
      plan_sharding(tables.configs, tables.statistics, options.batch, machine_of(options),
                    {.allow_inexact = options.allow_inexact});
  if (!options.output.empty()) write_plan(options.output, result.plan);
  if (options.json) {
    std::cout << json_of(tables, result).dump() << '\n';
  } else {
    print_text(tables, result);
  }
  return exit_ok;
}

void add_machine(CLI::App& command, plan_options& options) {
  command.add_option("--ranks", options.machine.num_ranks, "Ranks that share the tables")
      ->required()
      ->check(CLI::Range(1, 65536))
      ->group("Machine");
  command.add_option("--ranks-per-node", options.machine.ranks_per_node, "0: one node")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Machine");
  command.add_option("--memory", options.memory_gib, "Of each rank for tables, GiB")
      ->capture_default_str()
      ->group("Machine");
  command
      .add_option("--bandwidths", options.bandwidths,
                  "MEMORY,INTRA,INTER of a rank, GB/s; links: sent and received together. "
                  "Default: the makers' figures for H100 SXM")
      ->delimiter(',')
      ->expected(3)
      ->group("Machine");
  command
      .add_option("--latencies", options.latencies,
                  "INTRA,INTER that each message adds, microseconds")
      ->delimiter(',')
      ->expected(2)
      ->group("Machine");
  command
      .add_flag("--measure", options.measure,
                "Measure speeds of in-process ranks here; --bandwidths and --latencies go before")
      ->group("Machine");
}

}  // namespace

verb add_plan(CLI::App& program) {
  const auto options = std::make_shared<plan_options>();
  CLI::App* const command = program.add_subcommand(
      "plan", "Which rank should hold what of which table: bytes, memory and time of a step");
  command->add_option("tables", options->tables_file, "JSON file of tables");
  command
      ->add_option("--table", options->tables,
                   "NAME:ROWS:DIM[:HOTNESS[:ALPHA[:DTYPE[:OPTIMIZER]]]]")
      ->excludes("tables");
  command->add_option("--batch", options->batch, "Samples of each rank")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_machine(*command, *options);
  command->add_flag("--allow-inexact", options->allow_inexact,
                    "Plans whose sums depend on the number of ranks (partial_bags) may be chosen");
  command->add_flag("--json", options->json, "JSON on stdout: plan and predictions");
  command->add_option("--output", options->output, "Write the plan's JSON to this file");
  command->footer(
      "HOTNESS: mean ids of a bag, default 1. ALPHA: id k comes in proportion to (k + 1)^-ALPHA,\n"
      "default 0: all alike. The file is an array of objects {\"name\", \"rows\", \"dim\", "
      "\"hotness\",\n\"alpha\", \"dtype\", \"optimizer\", \"freeze\", \"features\"}; all but the "
      "first "
      "three may be left out.\n\"features\" is an array of {\"hotness\", \"weighted\", "
      "\"pooling\"} in the place of \"hotness\".\n"
      "Example:\n"
      "  warpbag plan --ranks 8 --table user:50000000:64:1:1.05 --table item:2000000:64:20:1.05");
  return {command, [options] { return run_plan(*options); }};
}

}  // namespace warpbag::cli
