// SPDX-License-Identifier: Apache-2.0
#include "cli/run_record.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "cli/machine_options.hpp"
#include "warpbag/error.hpp"

namespace warpbag::cli {

const choice_names<split_kind>& split_names() {
  static const choice_names<split_kind> names = {{"ratio", split_kind::ratio},
                                                 {"time", split_kind::time}};
  return names;
}

namespace {

using nlohmann::json;

json to_json(const optimizer_options& options) {
  return {{"kind", to_string(options.kind)},
          {"learning_rate", options.learning_rate},
          {"momentum", options.momentum},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"eps", options.eps},
          {"initial_accumulator", options.initial_accumulator},
          {"ftrl_beta", options.ftrl_beta},
          {"l1", options.l1},
          {"l2", options.l2},
          {"decay_mode", std::string(to_string(options.decay_mode))},
          {"weight_decay", options.weight_decay},
          {"clipping", std::string(to_string(options.clipping))},
          {"clipping_limit", options.clipping_limit},
          {"stochastic_rounding", options.stochastic_rounding}};
}

optimizer_options optimizer_from(const json& from) {
  optimizer_options options;
  options.kind = parse_choice("optimizer", from.at("kind"), names_up_to(optimizer_kind::ftrl));
  options.learning_rate = from.at("learning_rate");
  options.momentum = from.at("momentum");
  options.beta1 = from.at("beta1");
  options.beta2 = from.at("beta2");
  options.eps = from.at("eps");
  options.initial_accumulator = from.at("initial_accumulator");
  options.ftrl_beta = from.at("ftrl_beta");
  options.l1 = from.at("l1");
  options.l2 = from.at("l2");
  options.decay_mode =
      parse_choice("decay_mode", from.at("decay_mode"), names_up_to(weight_decay_mode::decoupled));
  options.weight_decay = from.at("weight_decay");
  options.clipping =
      parse_choice("clipping", from.at("clipping"), names_up_to(clipping_kind::norm));
  options.clipping_limit = from.at("clipping_limit");
  options.stochastic_rounding = from.at("stochastic_rounding");
  validate(options);
  return options;
}

json to_json(const model::machine_config& machine) {
  json tables = json::array();
  for (const model::machine_table& table : machine.tables) {
    tables.push_back({{"name", table.name}, {"rows", table.num_rows}});
  }
  json features = json::array();
  for (const model::machine_feature& feature : machine.features) {
    features.push_back({{"name", feature.name},
                        {"table", feature.table},
                        {"pooling", to_string(feature.mode)},
                        {"multi_hot", feature.multi_hot}});
  }
  const model::machine_options& options = machine.options;
  return {{"tables", tables},
          {"features", features},
          {"dim", options.dim},
          {"dtype", to_string(options.row_type)},
          {"init_scale", options.init_scale},
          {"seed", options.seed},
          {"optimizer", to_json(options.optimizer)}};
}

model::machine_config machine_from(const json& from) {
  model::machine_config machine;
  for (const json& table : from.at("tables")) {
    machine.tables.push_back({table.at("name"), table.at("rows")});
  }
  for (const json& feature : from.at("features")) {
    const std::size_t table = feature.at("table");
    if (table >= machine.tables.size()) throw invalid_argument("a feature of no table");
    machine.features.push_back(
        {feature.at("name"), table,
         parse_choice("pooling", feature.at("pooling"), names_up_to(pooling_mode::none)),
         feature.at("multi_hot")});
  }
  machine.options.dim = from.at("dim");
  machine.options.row_type = parse_choice("dtype", from.at("dtype"), names_up_to(dtype::bf16));
  machine.options.init_scale = from.at("init_scale");
  machine.options.seed = from.at("seed");
  machine.options.optimizer = optimizer_from(from.at("optimizer"));
  return machine;
}

json to_json(const data_options& data, std::uint64_t fingerprint) {
  return {{"path", data.path},
          {"format", data.format},
          {"rows", data.rows},
          {"users", data.users},
          {"items", data.items},
          {"generator_seed", data.generator_seed},
          {"history", data.history},
          {"label_threshold", data.label_threshold},
          {"skip_bad_rows", data.on_bad_row == bad_row_policy::skip},
          {"fingerprint", fingerprint}};
}

data_options data_from(const json& from) {
  data_options data;
  data.path = from.at("path");
  data.format = from.at("format");
  data.rows = from.at("rows");
  data.users = from.at("users");
  data.items = from.at("items");
  data.generator_seed = from.at("generator_seed");
  data.history = from.at("history");
  data.label_threshold = from.at("label_threshold");
  data.on_bad_row =
      from.at("skip_bad_rows").get<bool>() ? bad_row_policy::skip : bad_row_policy::error;
  return data;
}

json to_json(const run_options& run) {
  return {{"batch_size", run.batch_size},
          {"split", name_of(run.split, split_names())},
          {"validation", run.validation}};
}

json to_json(const training_progress& progress) {
  return {{"step", progress.step},
          {"epoch_loss", progress.epoch.total},
          {"epoch_samples", progress.epoch.samples},
          {"last_epoch_loss",
           progress.last_epoch_loss.has_value() ? json(*progress.last_epoch_loss) : json()}};
}

training_progress progress_from(const json& from) {
  training_progress progress;
  progress.step = from.at("step");
  progress.epoch = {from.at("epoch_loss"), from.at("epoch_samples")};
  if (!from.at("last_epoch_loss").is_null()) progress.last_epoch_loss = from.at("last_epoch_loss");
  return progress;
}

void require_same(const json& saved, const json& asked) {
  for (const auto& [key, value] : saved.items()) {
    if (value == asked.at(key)) continue;
    throw invalid_argument("cannot resume: " + key + " is " + value.dump() +
                           " in the checkpoint, but " + asked.at(key).dump() + " is asked for");
  }
}

}  // namespace

dataset_split split_of(const dataset& samples, const run_record& record) {
  return record.run.split == split_kind::time
             ? split_by_time(samples, record.run.validation)
             : split_by_ratio(samples, record.run.validation, record.machine.options.seed);
}

safetensors_metadata to_metadata(const run_record& record) {
  return {{"data", to_json(record.data, record.fingerprint).dump()},
          {"machine", to_json(record.machine).dump()},
          {"run", to_json(record.run).dump()},
          {"progress", to_json(record.progress).dump()}};
}

run_record from_metadata(const safetensors_metadata& metadata, const std::filesystem::path& file) {
  try {
    const json data = json::parse(metadata.at("data"));
    const json run = json::parse(metadata.at("run"));
    run_record record;
    record.data = data_from(data);
    record.fingerprint = data.at("fingerprint");
    record.machine = machine_from(json::parse(metadata.at("machine")));
    record.run = {run.at("batch_size"), parse_choice("split", run.at("split"), split_names()),
                  run.at("validation")};
    record.progress = progress_from(json::parse(metadata.at("progress")));
    return record;
  } catch (const std::out_of_range&) {  // a key that is not there; JSON's own is an exception below
    throw corrupt_file(file.string() + ": not a checkpoint of warpbag train");
  } catch (const json::exception& problem) {
    throw corrupt_file(file.string() + ": metadata of the run: " + problem.what());
  } catch (const invalid_argument& problem) {
    throw corrupt_file(file.string() + ": metadata of the run: " + problem.what());
  }
}

void require_same_run(const run_record& saved, const run_record& asked) {
  if (saved.fingerprint != asked.fingerprint) {
    throw invalid_argument("cannot resume: the data are not those of the checkpoint");
  }
  require_same(to_json(saved.run), to_json(asked.run));
  require_same(to_json(saved.machine), to_json(asked.machine));
}

std::filesystem::path checkpoint_file(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}

}  // namespace warpbag::cli
