// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tables of `warpbag plan`.

#include <filesystem>
#include <string>
#include <vector>

#include "warpbag/planner.hpp"

namespace warpbag::cli {

struct planned_tables {
  std::vector<table_config> configs;
  std::vector<table_statistics> statistics;
};

/// NAME:ROWS:DIM[:HOTNESS[:ALPHA[:DTYPE[:OPTIMIZER]]]] each. Throws invalid_argument.
planned_tables parse_tables(const std::vector<std::string>& texts);

/// A JSON file, as `warpbag plan --help` describes it. Throws io_error, and invalid_argument with
/// the place of what is wrong.
planned_tables read_tables(const std::filesystem::path& file);

}  // namespace warpbag::cli
