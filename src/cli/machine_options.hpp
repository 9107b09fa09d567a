// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/app.hpp"
#include "model/machine_config.hpp"

namespace warpbag::cli {

/// The model's options as they are written on the command line.
struct machine_arguments {
  model::machine_options options;
  std::vector<std::string> pooling;  ///< FEATURE=MODE
};

/// Defaults are those of `arguments`.
void add_machine_options(CLI::App& command, machine_arguments& arguments);

/// Throws invalid_argument for a pooling that is not FEATURE=MODE.
model::machine_options parse(const machine_arguments& arguments);

void add_bad_ids_option(CLI::App& command, bad_id_policy& policy);

}  // namespace warpbag::cli
