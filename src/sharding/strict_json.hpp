// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reads JSON that people write: every key must be known, every value of its type and in its range,
// and what is wrong is told with its place ("tables[2].ranks").

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace warpbag::sharding {

/// Throws invalid_argument, naming `place`, for text that is not JSON.
nlohmann::json parse_json(std::string_view text, const std::string& place);

/// A value and where it stands. Its document must outlive it. Every member throws invalid_argument,
/// naming the place, where the value is not what is asked for.
class json_place {
 public:
  json_place(const nlohmann::json& value, std::string place)
      : value_(&value), place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  [[noreturn]] void refuse(const std::string& problem) const;

  /// Refuses what is not an object, and keys that are not among these.
  void expect_keys(std::initializer_list<std::string_view> keys) const;
  bool has(const char* key) const;
  json_place at(const char* key) const;

  std::size_t size() const;  ///< of an array
  json_place at(std::size_t index) const;

  std::string text() const;
  bool flag() const;
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  double number(double least, double most) const;

 private:
  const nlohmann::json* value_;
  std::string place_;
};

}  // namespace warpbag::sharding
