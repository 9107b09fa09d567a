// SPDX-License-Identifier: Apache-2.0
#include "data/malformed_row.hpp"

namespace warpbag::data {

malformed_row::malformed_row(const std::string& problem, std::string_view text)
    : std::runtime_error(problem + ": " + in_quotes(text)) {}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t max_bytes = 80;
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, max_bytes)) {
    if (c >= ' ' && c <= '~') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += digits[byte / 16];
    out += digits[byte % 16];
  }
  out += '\'';
  if (text.size() > max_bytes) out += "... (" + std::to_string(text.size()) + " bytes)";
  return out;
}

}  // namespace warpbag::data
