// SPDX-License-Identifier: Apache-2.0
#include "cli/rank_options.hpp"

#include <cmath>
#include <fstream>
#include <iterator>

#include "cli/choice_option.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::cli {

namespace {

/// A table of so few rows costs less as a copy on every rank than as messages: most of its rows are
/// in each rank's part of a batch anyway.
constexpr std::int64_t small_table_rows = 1024;

const choice_names<rank_transport>& transport_names() {
  static const choice_names<rank_transport> names = {{"in_process", rank_transport::in_process},
                                                     {"mpi", rank_transport::mpi},
                                                     {"nccl", rank_transport::nccl}};
  return names;
}

const choice_names<table_sharding>& sharding_names() {
  static const choice_names<table_sharding> names = {
      {"auto", table_sharding::small_replicated},
      {"row_wise", table_sharding::row_wise},
      {"data_parallel", table_sharding::data_parallel}};
  return names;
}

/// An option that is empty unless it is given.
template <typename Value>
void add_optional_choice(CLI::App& command, const std::string& option, std::optional<Value>& value,
                         const choice_names<Value>& names, const std::string& description) {
  command
      .add_option_function<std::string>(
          option, [&value, names](const std::string& name) { value = names.at(name); }, description)
      ->check(CLI::IsMember(keys_of(names)))
      ->group("Ranks");
}

sharding_plan read_plan(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw io_error("cannot read " + file);
  try {
    return sharding_plan_from_json(text);
  } catch (const invalid_argument& problem) {
    throw invalid_argument(file + ": " + problem.what());
  }
}

}  // namespace

void add_rank_options(CLI::App& command, rank_options& options) {
  command
      .add_option("--ranks", options.ranks,
                  "Split tables and batches over so many ranks in this process: threads, or with "
                  "--transport nccl the first GPUs. The results are the same")
      ->check(CLI::Range(1, 1024))
      ->group("Ranks");
  add_optional_choice(command, "--transport", options.transport, transport_names(),
                      "How ranks talk. mpi: processes that mpirun started; nccl: a GPU for each "
                      "process that torchrun or mpirun started, or for each of --ranks");
  command
      .add_option("--plan", options.plan,
                  "Which rank holds what: a JSON plan, with the names that inspect shows")
      ->group("Ranks");
  add_optional_choice(command, "--sharding", options.sharding, sharding_names(),
                      "Without --plan: rows over all ranks, or whole tables on every rank; auto: "
                      "tables of at most 1024 rows on every rank");
  command
      .add_option("--deadline", options.deadline,
                  "Seconds that a rank waits for another before it gives up; 300")
      ->check(CLI::Range(0.001, 1e6))
      ->group("Ranks");
}

bool are_wanted(const rank_options& options) {
  if (!options.plan.empty() && options.sharding) {
    throw invalid_argument("--sharding is for runs without --plan");
  }
  if (options.ranks) {
    if (options.transport == rank_transport::mpi) {
      throw invalid_argument("--transport mpi takes its ranks from mpirun -np N, not from --ranks");
    }
    return true;
  }
  if (options.transport == rank_transport::in_process) {
    throw invalid_argument("--transport in_process needs --ranks");
  }
  if (options.transport) return true;
  for (const auto& [name, given] : {std::pair("--plan", !options.plan.empty()),
                                    std::pair("--sharding", options.sharding.has_value()),
                                    std::pair("--deadline", options.deadline.has_value())}) {
    if (given) throw invalid_argument(std::string(name) + " needs --ranks or --transport");
  }
  return false;
}

rank_transport transport_of(const rank_options& options) {
  return options.transport.value_or(rank_transport::in_process);
}

std::chrono::milliseconds deadline_of(const rank_options& options) {
  if (!options.deadline) return transport::default_deadline;
  return std::chrono::milliseconds(std::llround(*options.deadline * 1000.0));
}

sharding_plan plan_of(const rank_options& options, std::span<const table_config> tables,
                      int num_ranks) {
  if (!options.plan.empty()) return read_plan(options.plan);
  const auto kind = options.sharding.value_or(table_sharding::small_replicated);
  sharding_plan plan;
  plan.num_ranks = num_ranks;
  for (const table_config& table : tables) {
    const bool replicated =
        kind == table_sharding::data_parallel ||
        (kind == table_sharding::small_replicated && table.num_embeddings <= small_table_rows);
    plan.tables.push_back(replicated ? data_parallel(table.name) : row_wise(table.name, num_ranks));
  }
  return plan;
}

}  // namespace warpbag::cli
