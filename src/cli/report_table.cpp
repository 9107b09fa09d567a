// SPDX-License-Identifier: Apache-2.0
#include "cli/report_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ostream>

namespace warpbag::cli {

void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      out << "  " << row[i] << (i + 1 < row.size() ? padding : "");
    }
    out << '\n';
  }
}

std::string with_digits(double value, int digits) {
  if (std::isnan(value)) return "-";
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string with_commas(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first_digit = value < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first_digit + 3;) {
    i -= 3;
    text.insert(i, 1, ',');
  }
  return text;
}

std::string as_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(seconds, 0.0) + 0.5);
  std::array<char, 64> text;
  const std::int64_t hours = whole / 3600;
  const int size =
      hours > 0
          ? std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld",
                          static_cast<long long>(hours), static_cast<long long>(whole / 60 % 60),
                          static_cast<long long>(whole % 60))
          : std::snprintf(text.data(), text.size(), "%lld:%02lld",
                          static_cast<long long>(whole / 60), static_cast<long long>(whole % 60));
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace warpbag::cli
