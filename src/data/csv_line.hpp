// SPDX-License-Identifier: Apache-2.0
#pragma once
// A line of comma-separated values (RFC 4180, but for line breaks within quotes).

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warpbag::data {

/// The fields of the line parsed last; views into the line or, where doubled quotes had to be
/// undone, into this object.
class csv_line {
 public:
  /// Throws malformed_row for a quote that is not closed or has text around it.
  void parse(std::string_view line);

  std::span<const std::string_view> fields() const noexcept { return fields_; }

  /// Index of the field with this text.
  std::optional<std::size_t> find(std::string_view text) const noexcept;

 private:
  std::string_view parse_quoted(std::string_view line, std::size_t& place);

  std::vector<std::string_view> fields_;
  std::string undone_;  // quoted fields without their doubled quotes
};

}  // namespace warpbag::data
