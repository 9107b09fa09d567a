// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_options.hpp"
#include "cli/choice_option.hpp"

namespace warpbag::cli {

const choice_names<weight_decay_mode>& decay_mode_names() {
  static const choice_names<weight_decay_mode> names = {
      {"none", weight_decay_mode::none},
      {"l2", weight_decay_mode::l2},
      {"decoupled", weight_decay_mode::decoupled}};
  return names;
}

const choice_names<clipping_kind>& clipping_names() {
  static const choice_names<clipping_kind> names = {{"none", clipping_kind::none},
                                                    {"value", clipping_kind::value},
                                                    {"norm", clipping_kind::norm}};
  return names;
}

namespace {

void add_optimizer_options(CLI::App& command, optimizer_options& options) {
  const auto number = [&](const char* name, float& value, const char* what) {
    command.add_option(name, value, what)->capture_default_str()->group("Optimizer");
  };
  add_choice(command, "--optimizer", options.kind, names_up_to(optimizer_kind::ftrl),
             "On every table")
      ->group("Optimizer");
  number("--lr", options.learning_rate, "Learning rate");
  number("--momentum", options.momentum, "sgd");
  number("--beta1", options.beta1, "adam, adamw, partial_rowwise_adam, lamb");
  number("--beta2", options.beta2, "adam, adamw, partial_rowwise_adam, lamb");
  number("--eps", options.eps, "adagrad and adam families");
  number("--initial-accumulator", options.initial_accumulator, "adagrad, rowwise_adagrad, ftrl");
  number("--ftrl-beta", options.ftrl_beta, "ftrl");
  number("--l1", options.l1, "ftrl");
  number("--l2", options.l2, "ftrl");
  add_choice(command, "--decay-mode", options.decay_mode, decay_mode_names(), "Of --weight-decay")
      ->group("Optimizer");
  number("--weight-decay", options.weight_decay, "On the rows of a batch; needs --decay-mode");
  add_choice(command, "--clip", options.clipping, clipping_names(),
             "Gradient of a row: each element, or its norm")
      ->group("Optimizer");
  number("--clip-limit", options.clipping_limit, "Of --clip");
  command.add_flag("--stochastic-rounding", options.stochastic_rounding, "Of f16 and bf16 rows")
      ->group("Optimizer");
}

}  // namespace

void add_machine_options(CLI::App& command, machine_arguments& arguments) {
  model::machine_options& options = arguments.options;
  command.add_option("--dim", options.dim, "Elements of a vector")
      ->capture_default_str()
      ->group("Model");
  add_choice(command, "--dtype", options.row_type, names_up_to(dtype::bf16), "Type of rows")
      ->group("Model");
  command.add_option("--init-scale", options.init_scale, "Standard deviation of the first vectors")
      ->capture_default_str()
      ->group("Model");
  command
      .add_option("--pooling", arguments.pooling,
                  "FEATURE=sum|mean|max for features with bags of ids; default: history=mean, "
                  "others sum")
      ->group("Model");
  command
      .add_option("--max-rows", options.max_rows,
                  "Rows of a table at most; ids beyond are bad ids. 0: as many as ids")
      ->capture_default_str()
      ->group("Model");
  command.add_option("--seed", options.seed, "Of the weights, the split, the order, the generator")
      ->capture_default_str()
      ->group("Model");
  add_optimizer_options(command, options.optimizer);
}

model::machine_options parse(const machine_arguments& arguments) {
  model::machine_options options = arguments.options;
  for (const std::string& text : arguments.pooling) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      throw invalid_argument("--pooling must be FEATURE=MODE, not '" + text + "'");
    }
    options.pooling[text.substr(0, equals)] =
        parse_choice("pooling", text.substr(equals + 1), names_up_to(pooling_mode::none));
  }
  return options;
}

void add_bad_ids_option(CLI::App& command, bad_id_policy& policy) {
  add_choice(command, "--bad-ids", policy, names_up_to(bad_id_policy::zero), "Ids beyond a table")
      ->group("Model");
}

}  // namespace warpbag::cli
