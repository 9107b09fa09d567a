// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/report_table.hpp"
#include "cli/run_record.hpp"
#include "cli/verbs.hpp"
#include "cli/vocabulary_file.hpp"
#include "model/factorization_machine.hpp"
#include "warpbag/checkpoint.hpp"

namespace warpbag::cli {

namespace {

struct inspect_options {
  std::string folder;
  bool json = false;
};

/// Reads every byte: throws corrupt_file where a checksum does not hold.
void check_sums(const run_record& record, const std::filesystem::path& file) {
  const auto device = model::make_cpu_model_device(0);
  model::factorization_machine machine(record.machine, *device);
  machine.load(file);
}

std::string shape_of(const safetensors_entry& entry) {
  std::string text;
  for (const std::uint64_t size : entry.shape) {
    text += (text.empty() ? "" : " x ") + with_commas(static_cast<std::int64_t>(size));
  }
  return text;
}

void print_json(const safetensors_reader& reader, const std::vector<dataset_table>& tables,
                const std::filesystem::path& file) {
  using nlohmann::json;
  json tensors = json::array();
  for (const safetensors_entry& entry : reader.entries()) {
    tensors.push_back({{"name", entry.name},
                       {"type", to_string(entry.type)},
                       {"shape", entry.shape},
                       {"bytes", entry.num_bytes()}});
  }
  json tokens = json::object();
  for (const dataset_table& table : tables) tokens[table.name] = table.vocabulary.size();
  json out = {
      {"file", file.string()}, {"tensors", tensors}, {"tokens", tokens}, {"checksums", "ok"}};
  for (const char* const part : {"data", "machine", "run", "progress"}) {
    out[part] = json::parse(reader.metadata().at(part));
  }
  std::cout << out.dump() << '\n';
}

void print_text(const safetensors_reader& reader, const std::vector<dataset_table>& tables,
                const run_record& record) {
  std::int64_t tokens = 0;
  for (const dataset_table& table : tables) tokens += table.vocabulary.size();
  const optimizer_options& optimizer = record.machine.options.optimizer;
  print_table(std::cout, {{"step", with_commas(record.progress.step)},
                          {"optimizer", std::string(to_string(optimizer.kind))},
                          {"row type", std::string(to_string(record.machine.options.row_type))},
                          {"dim", std::to_string(record.machine.options.dim)},
                          {"tokens", with_commas(tokens)},
                          {"checksums", "ok"}});
  std::cout << '\n';
  std::vector<std::vector<std::string>> rows;
  std::uint64_t bytes = 0;
  for (const safetensors_entry& entry : reader.entries()) {
    rows.push_back({entry.name, std::string(to_string(entry.type)), shape_of(entry)});
    bytes += entry.num_bytes();
  }
  print_table(std::cout, rows);
  std::cout << "\n  " << reader.entries().size() << " tensors, "
            << with_commas(static_cast<std::int64_t>(bytes)) << " bytes\n";
}

int run_inspect(const inspect_options& options) {
  const std::filesystem::path file = checkpoint_file(options.folder);
  const safetensors_reader reader(file);
  const run_record record = from_metadata(reader.metadata(), file);
  check_sums(record, file);
  const std::vector<dataset_table> tables =
      load_vocabularies(vocabulary_file(options.folder), record);
  if (options.json) {
    print_json(reader, tables, file);
  } else {
    print_text(reader, tables, record);
  }
  return exit_ok;
}

}  // namespace

verb add_inspect(CLI::App& program) {
  const auto options = std::make_shared<inspect_options>();
  CLI::App* const command = program.add_subcommand(
      "inspect", "Tables, step and options of a checkpoint; checks its sums");
  command->add_option("folder", options->folder, "Folder of the checkpoint")->required();
  command->add_flag("--json", options->json, "JSON on stdout");
  command->footer("Example:\n  warpbag inspect run1");
  return {command, [options] { return run_inspect(*options); }};
}

}  // namespace warpbag::cli
