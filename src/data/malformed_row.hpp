// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the parsers say that a line is wrong, and what becomes of it.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "data/line_reader.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::data {

/// Thrown by a parser in the middle of a line. Never leaves src/data: the loop over the lines turns
/// it into a parse_error or counts it.
class malformed_row : public std::runtime_error {
 public:
  /// `problem` says what is wrong with `text`, the piece of the line at fault.
  malformed_row(const std::string& problem, std::string_view text);
};

/// The text in quotes, cut after 80 bytes; bytes that are not printable ASCII as \xNN.
std::string in_quotes(std::string_view text);

/// Calls parse(line) for every line that is not blank and returns how many were malformed and left
/// out. `parse` must keep nothing of a line that it throws malformed_row for.
template <typename Parse>
std::int64_t for_each_row(line_reader& lines, bad_row_policy policy, const Parse& parse) {
  std::int64_t num_skipped = 0;
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty()) continue;
    try {
      parse(line);
    } catch (const malformed_row& problem) {
      if (policy == bad_row_policy::error) lines.fail(problem.what());
      ++num_skipped;
    }
  }
  return num_skipped;
}

}  // namespace warpbag::data
