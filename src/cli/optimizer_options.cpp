// SPDX-License-Identifier: Apache-2.0
#include "cli/optimizer_options.hpp"

#include "cli/choice_option.hpp"

namespace warpbag::cli {

void add_optimizer_options(CLI::App& command, optimizer_options& options) {
  constexpr const char* group = "Optimizer";
  const auto number = [&](const char* name, float& value, const char* what) {
    command.add_option(name, value, what)->capture_default_str()->group(group);
  };
  number("--lr", options.learning_rate, "Learning rate");
  number("--momentum", options.momentum, "sgd");
  number("--beta1", options.beta1, "adam, adamw, partial_rowwise_adam, lamb");
  number("--beta2", options.beta2, "adam, adamw, partial_rowwise_adam, lamb");
  number("--eps", options.eps, "adagrad and adam families");
  number("--initial-accumulator", options.initial_accumulator, "adagrad, rowwise_adagrad, ftrl");
  number("--ftrl-beta", options.ftrl_beta, "ftrl");
  number("--l1", options.l1, "ftrl");
  number("--l2", options.l2, "ftrl");
  add_choice(command, "--decay-mode", options.decay_mode, names_up_to(weight_decay_mode::decoupled),
             "Of --weight-decay")
      ->group(group);
  number("--weight-decay", options.weight_decay, "On the rows of a batch; needs --decay-mode");
  add_choice(command, "--clip", options.clipping, names_up_to(clipping_kind::norm),
             "Gradient of a row: each element, or its norm")
      ->group(group);
  number("--clip-limit", options.clipping_limit, "Of --clip");
  command.add_flag("--stochastic-rounding", options.stochastic_rounding, "Of f16 and bf16 rows")
      ->group(group);
}

}  // namespace warpbag::cli
