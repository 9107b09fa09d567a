// SPDX-License-Identifier: Apache-2.0
#pragma once
// Values that have names.

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

template <typename Value>
std::set<std::string> keys_of(const choice_names<Value>& names) {
  std::set<std::string> keys;
  for (const auto& [name, value] : names) keys.insert(name);
  return keys;
}

/// The name of a value that is in `names`.
template <typename Value>
std::string name_of(Value value, const choice_names<Value>& names) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return {};
}

}  // namespace warpbag::cli
