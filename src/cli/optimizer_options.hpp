// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/app.hpp"
#include "warpbag/optimizer.hpp"

namespace warpbag::cli {

/// All but the kind. Defaults are those of `options`.
void add_optimizer_options(CLI::App& command, optimizer_options& options);

}  // namespace warpbag::cli
