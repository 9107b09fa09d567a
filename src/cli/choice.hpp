// SPDX-License-Identifier: Apache-2.0
#pragma once
// Options whose value is one of some names.

#include <CLI/CLI.hpp>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "warpbag/error.hpp"

namespace warpbag::cli {

template <typename Value>
using choice_names = std::map<std::string, Value>;

/// to_string of the values 0, ..., last of an enum.
template <typename Value>
choice_names<Value> names_up_to(Value last) {
  choice_names<Value> names;
  for (int value = 0; value <= static_cast<int>(last); ++value) {
    names.emplace(to_string(static_cast<Value>(value)), static_cast<Value>(value));
  }
  return names;
}

/// Throws invalid_argument for a name that is none; `what` says of what.
template <typename Value>
Value parse_choice(std::string_view what, const std::string& name,
                   const choice_names<Value>& names) {
  const auto found = names.find(name);
  if (found == names.end()) throw invalid_argument(std::string(what) + ": no '" + name + "'");
  return found->second;
}

/// The name of a value that is in `names`.
template <typename Value>
std::string name_of(Value value, const choice_names<Value>& names) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return {};
}

/// An option with the names' values; the value it has now is the default that --help shows.
template <typename Value>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Value& value,
                        const choice_names<Value>& names, const std::string& description) {
  std::set<std::string> allowed;
  for (const auto& [name, candidate] : names) allowed.insert(name);
  return command
      .add_option_function<std::string>(
          option, [&value, names](const std::string& name) { value = names.at(name); }, description)
      ->check(CLI::IsMember(allowed))
      ->default_str(name_of(value, names));
}

}  // namespace warpbag::cli
