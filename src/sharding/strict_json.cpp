// SPDX-License-Identifier: Apache-2.0
#include "sharding/strict_json.hpp"

#include <algorithm>
#include <limits>

#include "collection/refuse.hpp"

namespace warpbag::sharding {

nlohmann::json parse_json(std::string_view text, const std::string& place) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    collection::refuse(place, ": not JSON: ", problem.what());
  }
}

void json_place::refuse(const std::string& problem) const {
  collection::refuse(place_, ": ", problem);
}

void json_place::expect_keys(std::initializer_list<std::string_view> keys) const {
  if (!value_->is_object()) refuse("not an object");
  for (const auto& [key, value] : value_->items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      refuse("unknown key '" + key + "'");
    }
  }
}

bool json_place::has(const char* key) const { return value_->contains(key); }

json_place json_place::at(const char* key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) refuse(std::string("no key '") + key + "'");
  return {*found, place_ + "." + key};
}

std::size_t json_place::size() const {
  if (!value_->is_array()) refuse("not an array");
  return value_->size();
}

json_place json_place::at(std::size_t index) const {
  return {(*value_)[index], place_ + "[" + std::to_string(index) + "]"};
}

std::string json_place::text() const {
  if (!value_->is_string()) refuse("not a string");
  return value_->get<std::string>();
}

bool json_place::flag() const {
  if (!value_->is_boolean()) refuse("not true or false");
  return value_->get<bool>();
}

std::int64_t json_place::integer(std::int64_t least, std::int64_t most) const {
  if (!value_->is_number_integer()) refuse("not a whole number");
  // Positive literals are unsigned: one beyond int64 would wrap.
  const bool too_large = value_->is_number_unsigned() &&
                         value_->get<std::uint64_t>() >
                             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (too_large || value_->get<std::int64_t>() < least || value_->get<std::int64_t>() > most) {
    refuse(value_->dump() + " is not in " + std::to_string(least) + ".." + std::to_string(most));
  }
  return value_->get<std::int64_t>();
}

double json_place::number(double least, double most) const {
  if (!value_->is_number()) refuse("not a number");
  const auto number = value_->get<double>();
  if (!(number >= least && number <= most)) {
    refuse(value_->dump() + " is not in " + nlohmann::json(least).dump() + ".." +
           nlohmann::json(most).dump());
  }
  return number;
}

}  // namespace warpbag::sharding
