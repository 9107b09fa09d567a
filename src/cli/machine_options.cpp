// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_options.hpp"

#include "cli/choice_option.hpp"
#include "cli/optimizer_options.hpp"

namespace warpbag::cli {

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
  add_choice(command, "--optimizer", options.optimizer.kind, names_up_to(optimizer_kind::ftrl),
             "On every table")
      ->group("Optimizer");
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
