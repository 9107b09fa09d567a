// SPDX-License-Identifier: Apache-2.0
#pragma once
// Options whose value is one of some names.

#include <CLI/CLI.hpp>

#include "cli/choice.hpp"

namespace warpbag::cli {

/// An option with the names' values; the value it has now is the default that --help shows.
template <typename Value>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Value& value,
                        const choice_names<Value>& names, const std::string& description) {
  return command
      .add_option_function<std::string>(
          option, [&value, names](const std::string& name) { value = names.at(name); }, description)
      ->check(CLI::IsMember(keys_of(names)))
      ->default_str(name_of(value, names));
}

}  // namespace warpbag::cli
