// SPDX-License-Identifier: Apache-2.0
#pragma once
// The lines of a file, read in big pieces.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace warpbag::data {

/// Hands out the lines of a file (or pipe) one by one, without LF or CRLF and, on line 1, without a
/// UTF-8 byte order mark. The last line may lack its end. Memory is one piece, or the longest line.
class line_reader {
 public:
  /// A longer line is no text file's.
  static constexpr std::size_t max_line_bytes = std::size_t{16} << 20;

  /// Throws io_error when the file cannot be opened.
  explicit line_reader(const std::filesystem::path& file);
  ~line_reader();
  line_reader(const line_reader&) = delete;
  line_reader& operator=(const line_reader&) = delete;

  /// The next line, valid until the next call; false at the end of the file.
  /// Throws io_error when reading fails and parse_error for a line over max_line_bytes.
  bool next(std::string_view& line);

  /// Of the line that next() gave last, from 1; 0 before.
  std::int64_t line_number() const noexcept { return line_number_; }

  /// Throws parse_error "file:line: problem" for the line that next() gave last.
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  bool refill();

  std::string file_;
  int descriptor_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what was read and not handed out
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::int64_t line_number_ = 0;
};

}  // namespace warpbag::data
