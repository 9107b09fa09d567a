// SPDX-License-Identifier: Apache-2.0
#include "data/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/malformed_row.hpp"

namespace warpbag::data {
namespace {

// std::from_chars of the whole field, with a plus sign, which it does not know by itself.
template <typename Number>
Number parse_whole(std::string_view field, const char* what, const char* kind) {
  std::string_view digits = field;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  Number value{};
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem == std::errc::result_out_of_range) {
    throw malformed_row(std::string(what) + " is out of range", field);
  }
  if (problem != std::errc{} || end != digits.data() + digits.size()) {
    throw malformed_row(std::string(what) + " is not " + kind, field);
  }
  return value;
}

}  // namespace

void split(std::string_view line, std::string_view separator, std::vector<std::string_view>& out) {
  out.clear();
  for (;;) {
    const std::size_t end = line.find(separator);
    out.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + separator.size());
  }
}

void split_exactly(std::string_view line, std::string_view separator,
                   std::span<std::string_view> out) {
  std::string_view rest = line;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::size_t end = rest.find(separator);
    const bool is_last = k + 1 == out.size();
    if (is_last != (end == std::string_view::npos)) {
      throw malformed_row("the line does not have " + std::to_string(out.size()) + " fields", line);
    }
    out[k] = rest.substr(0, end);
    if (!is_last) rest.remove_prefix(end + separator.size());
  }
}

std::string_view parse_token(std::string_view field, const char* what) {
  if (field.empty()) throw malformed_row(std::string(what) + " is missing", field);
  if (field.size() > max_token_bytes) {
    throw malformed_row(
        std::string(what) + " is longer than " + std::to_string(max_token_bytes) + " bytes", field);
  }
  return field;
}

double parse_number(std::string_view field, const char* what) {
  const double value = parse_whole<double>(field, what, "a number");
  if (!std::isfinite(value)) throw malformed_row(std::string(what) + " is not finite", field);
  return value;
}

std::int64_t parse_integer(std::string_view field, const char* what) {
  return parse_whole<std::int64_t>(field, what, "a whole number");
}

}  // namespace warpbag::data
