// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/device_options.hpp"
#include "cli/exit_code.hpp"
#include "cli/machine_options.hpp"
#include "cli/report_table.hpp"
#include "cli/run_record.hpp"
#include "cli/verbs.hpp"
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

/// Ids of tokens are given by order of appearance, so another file has other ids for the same
/// tokens; ids that are computed (buckets, libsvm, the generator) mean the same everywhere.
void check_ids(const dataset& samples, const run_record& record) {
  if (samples.fingerprint() == record.fingerprint) return;
  for (const dataset_table& table : samples.tables()) {
    if (table.vocabulary.size() > 0) {
      throw invalid_argument("the ids of table '" + table.name +
                             "' are numbered by the training data: evaluate on that file, with "
                             "--part validation for the samples that were not trained on");
    }
  }
  const std::size_t features = samples.features().size();
  bool fits = features == record.machine.features.size();
  for (std::size_t f = 0; fits && f < features; ++f) {
    fits = samples.features()[f].name == record.machine.features[f].name;
  }
  if (!fits) throw invalid_argument("the data have other features than the checkpoint");
}

std::vector<std::int64_t> select(const eval_options& options, const dataset& samples,
                                 const run_record& record) {
  if (options.part == data_part::all) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(samples.num_samples()));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  if (samples.fingerprint() != record.fingerprint) {
    throw invalid_argument("--part needs the data that the checkpoint was trained on");
  }
  dataset_split split = split_of(samples, record);
  return options.part == data_part::train ? split.train : split.validation;
}

int run_eval(const eval_options& options) {
  const std::filesystem::path file = checkpoint_file(options.checkpoint);
  const run_record record = from_metadata(read_checkpoint_metadata(file), file);
  const loaded_data data = load_data(data_of(options, record));
  check_ids(data.samples, record);
  const std::vector<std::int64_t> selection = select(options, data.samples, record);

  const auto device = make_device(options.device);
  model::factorization_machine machine(record.machine, *device, options.bad_ids);
  static_cast<void>(load_checkpoint(machine.collection(), file));
  const model::evaluation result =
      model::evaluate(machine, data.samples, selection, record.run.batch_size);
  const std::int64_t bad_ids = machine.collection().bad_ids();
  if (options.json) {
    std::cout << nlohmann::json{{"samples", result.samples},
                                {"loss", result.loss},
                                {"auc", result.auc},
                                {"bad_ids", bad_ids},
                                {"step", record.progress.step}}
                     .dump()
              << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows = {{"samples", with_commas(result.samples)},
                                                {"loss", with_digits(result.loss, 4)},
                                                {"AUC", with_digits(result.auc, 4)}};
  if (options.bad_ids != bad_id_policy::error) rows.push_back({"bad ids", with_commas(bad_ids)});
  print_table(std::cout, rows);
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
  command->footer("Example:\n  warpbag eval --checkpoint run1 --part validation");
  return {command, [options] { return run_eval(*options); }};
}

}  // namespace warpbag::cli
