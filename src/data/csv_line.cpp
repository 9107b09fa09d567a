// SPDX-License-Identifier: Apache-2.0
#include "data/csv_line.hpp"

#include <algorithm>

#include "data/fields.hpp"
#include "data/malformed_row.hpp"

namespace warpbag::data {

void csv_line::parse(std::string_view line) {
  if (line.find('"') == std::string_view::npos) {
    split(line, ",", fields_);
    return;
  }
  fields_.clear();
  undone_.clear();
  undone_.reserve(line.size());  // so that views into it stay valid
  std::size_t place = 0;
  for (;;) {
    if (place < line.size() && line[place] == '"') {
      fields_.push_back(parse_quoted(line, place));
      if (place < line.size() && line[place] != ',') {
        throw malformed_row("text after a quoted field", line);
      }
    } else {
      const std::size_t end = std::min(line.find(',', place), line.size());
      fields_.push_back(line.substr(place, end - place));
      if (fields_.back().find('"') != std::string_view::npos) {
        throw malformed_row("a quote within a field that does not begin with one", line);
      }
      place = end;
    }
    if (place == line.size()) return;
    ++place;  // the comma
  }
}

std::optional<std::size_t> csv_line::find(std::string_view text) const noexcept {
  const auto found = std::find(fields_.begin(), fields_.end(), text);
  if (found == fields_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - fields_.begin());
}

// `place` is that of the opening quote and becomes the one after the closing quote.
std::string_view csv_line::parse_quoted(std::string_view line, std::size_t& place) {
  const std::size_t begin = undone_.size();
  for (++place; place < line.size(); ++place) {
    if (line[place] == '"') {
      ++place;
      if (place == line.size() || line[place] != '"') {
        return std::string_view(undone_).substr(begin);
      }
    }
    undone_ += line[place];
  }
  throw malformed_row("a quote is not closed", line);
}

}  // namespace warpbag::data
