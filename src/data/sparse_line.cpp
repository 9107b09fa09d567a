// SPDX-License-Identifier: Apache-2.0
#include "data/sparse_line.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "data/fields.hpp"
#include "data/malformed_row.hpp"

namespace warpbag::data {
namespace {

// The next element of `rest`, which it is cut from; empty when there is none.
std::string_view next_element(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  const std::string_view element = rest.substr(0, rest.find_first_of(" \t"));
  rest.remove_prefix(element.size());
  return element;
}

std::uint64_t parse_index(std::string_view text, const char* what, std::int64_t max) {
  const std::int64_t index = parse_integer(text, what);
  if (index < 0 || index > max) {
    throw malformed_row(std::string(what) + " is not in [0, " + std::to_string(max) + "]", text);
  }
  return static_cast<std::uint64_t>(index);
}

float parse_value(std::string_view text) {
  const double value = parse_number(text, "a value");
  if (std::abs(value) > std::numeric_limits<float>::max()) {
    throw malformed_row("a value is beyond the range of float", text);
  }
  return static_cast<float>(value);
}

sparse_entry parse_entry(std::string_view element, bool has_fields) {
  constexpr std::int64_t max_index = std::numeric_limits<std::int64_t>::max();
  sparse_entry entry;
  if (has_fields) {
    std::array<std::string_view, 3> parts;
    split_exactly(element, ":", parts);
    entry.field = static_cast<std::uint32_t>(
        parse_index(parts[0], "a field", std::numeric_limits<std::uint32_t>::max()));
    entry.index = parse_index(parts[1], "an index", max_index);
    entry.value = parse_value(parts[2]);
  } else {
    std::array<std::string_view, 2> parts;
    split_exactly(element, ":", parts);
    entry.index = parse_index(parts[0], "an index", max_index);
    entry.value = parse_value(parts[1]);
  }
  return entry;
}

}  // namespace

void parse_sparse_line(std::string_view line, bool has_fields, sparse_line& out) {
  std::string_view rest = line.substr(0, line.find('#'));
  const std::string_view label_text = next_element(rest);
  const double label = parse_number(label_text, "the label");
  if (label != 1.0 && label != 0.0 && label != -1.0) {
    throw malformed_row("the label is none of 1, 0 and -1", label_text);
  }
  out.positive = label == 1.0;
  out.entries.clear();
  for (;;) {
    const std::string_view element = next_element(rest);
    if (element.empty()) return;
    out.entries.push_back(parse_entry(element, has_fields));
  }
}

void sparse_column::add(std::size_t row, const sparse_entry& entry) {
  if (column_.begins.size() <= row) {
    column_.begins.resize(row + 1, column_.ids.size());
    column_.sizes.resize(row + 1);
  }
  std::array<char, 20> digits;  // 2^64 - 1 has 20
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), entry.index).ptr;
  column_.ids.push_back(vocabulary_.id_of(std::string_view(digits.data(), end)));
  column_.weights.push_back(entry.value);
  ++column_.sizes[row];
}

void sparse_column::add_to(dataset_parts& parts, const std::string& name, std::size_t num_rows) && {
  column_.begins.resize(num_rows, column_.ids.size());
  column_.sizes.resize(num_rows);
  parts.features.push_back({name, parts.tables.size(), true, true});
  parts.columns.push_back(std::move(column_));
  const std::int64_t num_ids = vocabulary_.size();
  parts.tables.push_back({name, num_ids, std::move(vocabulary_)});
}

}  // namespace warpbag::data
