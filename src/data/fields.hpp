// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pieces of a line. Every function throws malformed_row, naming the field, for what it cannot
// accept, and none of them depends on the locale.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warpbag::data {

/// Tokens are names of users, items, genres: one that is longer is a sign of a broken file.
inline constexpr std::size_t max_token_bytes = 1024;

/// Cuts `line` at every `separator` (not empty) into `out`; n separators give n + 1 fields.
void split(std::string_view line, std::string_view separator, std::vector<std::string_view>& out);

/// Cuts a line into exactly out.size() fields.
void split_exactly(std::string_view line, std::string_view separator,
                   std::span<std::string_view> out);

/// Not empty and not longer than max_token_bytes; any bytes.
std::string_view parse_token(std::string_view field, const char* what);

/// A finite decimal number, the whole field; no white space; a sign of either kind.
double parse_number(std::string_view field, const char* what);

/// A whole number that fits 64 bits.
std::int64_t parse_integer(std::string_view field, const char* what);

}  // namespace warpbag::data
