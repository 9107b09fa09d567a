// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "cli/choice_option.hpp"
#include "cli/device_options.hpp"
#include "cli/exit_code.hpp"
#include "cli/machine_options.hpp"
#include "cli/report_table.hpp"
#include "cli/run_record.hpp"
#include "cli/verbs.hpp"
#include "cli/vocabulary_file.hpp"
#include "data/renumber.hpp"
#include "model/batch_pipeline.hpp"
#include "warpbag/checkpoint.hpp"

namespace warpbag::cli {

namespace {

enum class data_part : std::uint8_t { all, train, validation };

struct eval_options {
  std::string checkpoint;
  data_options data;
  device_options device;
  data_part part = data_part::all;
  bad_id_policy bad_ids = bad_id_policy::error;
  bool json = false;
};

/// The data of the run unless a file is given; read as the run read them.
data_options data_of(const eval_options& options, const run_record& record) {
  data_options data = record.data;
  if (options.data.path.empty()) return data;
  data.path = options.data.path;
  data.format = options.data.format;
  data.on_bad_row = options.data.on_bad_row;
  return data;
}

/// What to evaluate on.
struct evaluation_data {
  dataset samples;
  std::vector<std::int64_t> selection;
  std::vector<std::int64_t> cold_lookups;  // of each feature; empty for the run's own data
};

evaluation_data own_data(dataset samples, const run_record& record, data_part part) {
  std::vector<std::int64_t> selection;
  if (part == data_part::all) {
    selection.resize(static_cast<std::size_t>(samples.num_samples()));
    std::iota(selection.begin(), selection.end(), 0);
  } else {
    dataset_split split = split_of(samples, record);
    selection = std::move(part == data_part::train ? split.train : split.validation);
  }
  return {std::move(samples), std::move(selection), {}};
}

evaluation_data other_data(dataset samples, const run_record& record,
                           const std::filesystem::path& folder) {
  std::vector<dataset_feature> features;
  for (const model::machine_feature& feature : record.machine.features) {
    features.push_back({feature.name, feature.table, feature.multi_hot, false});
  }
  const std::vector<dataset_table> tables = load_vocabularies(vocabulary_file(folder), record);
  data::renumbered_dataset renumbered = data::renumber(std::move(samples), tables, features);
  evaluation_data data = own_data(std::move(renumbered.samples), record, data_part::all);
  data.cold_lookups = std::move(renumbered.cold_lookups);
  return data;
}

evaluation_data load(const eval_options& options, const run_record& record) {
  loaded_data data = load_data(data_of(options, record));
  if (data.samples.fingerprint() == record.fingerprint) {
    return own_data(std::move(data.samples), record, options.part);
  }
  if (options.data.path.empty()) {
    throw invalid_argument(
        "the data of the run have changed; --data FILE takes them as other data");
  }
  if (options.part != data_part::all) {
    throw invalid_argument("--part needs the data that the checkpoint was trained on");
  }
  return other_data(std::move(data.samples), record, options.checkpoint);
}

/// The model of a run for other samples: their bags may be empty where the run's had one id.
model::machine_config machine_for(const dataset& samples, const run_record& record) {
  model::machine_config machine = record.machine;
  for (std::size_t f = 0; f < machine.features.size(); ++f) {
    machine.features[f].multi_hot = samples.features()[f].multi_hot;
  }
  return machine;
}

struct eval_report {
  model::evaluation result;
  std::int64_t step = 0;
  std::optional<std::int64_t> bad_ids;  // unless they are errors
  nlohmann::ordered_json cold_lookups;  // by feature, where there are any
};

void print_json(const eval_report& report) {
  nlohmann::json out = {{"samples", report.result.samples},
                        {"loss", report.result.loss},
                        {"auc", report.result.auc},
                        {"bad_ids", report.bad_ids.value_or(0)},
                        {"cold_lookups", report.cold_lookups},
                        {"step", report.step}};
  std::cout << out.dump() << '\n';
}

void print_text(const eval_report& report) {
  std::vector<std::vector<std::string>> rows = {{"samples", with_commas(report.result.samples)},
                                                {"loss", with_digits(report.result.loss, 4)},
                                                {"AUC", with_digits(report.result.auc, 4)}};
  if (report.bad_ids) rows.push_back({"bad ids", with_commas(*report.bad_ids)});
  for (const auto& [feature, count] : report.cold_lookups.items()) {
    rows.push_back({"cold in " + feature, with_commas(count.get<std::int64_t>())});
  }
  print_table(std::cout, rows);
}

int run_eval(const eval_options& options) {
  const std::filesystem::path file = checkpoint_file(options.checkpoint);
  const run_record record = from_metadata(read_checkpoint_metadata(file), file);
  const evaluation_data data = load(options, record);

  const auto device = make_device(options.device);
  model::factorization_machine machine(machine_for(data.samples, record), *device, options.bad_ids);
  machine.load(file);
  eval_report report;
  report.result = model::evaluate(machine, data.samples, data.selection, record.run.batch_size);
  report.step = record.progress.step;
  if (options.bad_ids != bad_id_policy::error) report.bad_ids = machine.bad_ids();
  report.cold_lookups = nlohmann::ordered_json::object();
  for (std::size_t f = 0; f < data.cold_lookups.size(); ++f) {
    if (data.cold_lookups[f] == 0) continue;
    report.cold_lookups[data.samples.features()[f].name] = data.cold_lookups[f];
  }
  if (options.json) {
    print_json(report);
  } else {
    print_text(report);
  }
  return exit_ok;
}

}  // namespace

verb add_eval(CLI::App& program) {
  const auto options = std::make_shared<eval_options>();
  CLI::App* const command =
      program.add_subcommand("eval", "Loss and AUC of a checkpoint, by default on its own data");
  command->add_option("--checkpoint", options->checkpoint, "Folder of the checkpoint")->required();
  add_file_options(*command, options->data);
  add_choice(
      *command, "--part", options->part,
      {{"all", data_part::all}, {"train", data_part::train}, {"validation", data_part::validation}},
      "Samples of the run's own split");
  add_bad_ids_option(*command, options->bad_ids);
  add_device_options(*command, options->device);
  command->add_flag("--json", options->json, "JSON on stdout");
  command->footer(
      "Example:\n"
      "  warpbag eval --checkpoint run1 --part validation\n"
      "  warpbag eval --checkpoint run1 --data newer.inter\n"
      "In another file than the run's a token that was never trained is dropped from its bag and\n"
      "counted as cold.");
  return {command, [options] { return run_eval(*options); }};
}

}  // namespace warpbag::cli
