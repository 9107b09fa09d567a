// SPDX-License-Identifier: Apache-2.0
#include "data/line_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "warpbag/error.hpp"

namespace warpbag::data {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

[[noreturn]] void throw_io_error(const char* what, const std::string& file) {
  throw io_error(std::string(what) + " '" + file + "': " + std::generic_category().message(errno));
}

}  // namespace

line_reader::line_reader(const std::filesystem::path& file)
    : file_(file.string()),
      descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)),
      buffer_(piece_bytes) {
  if (descriptor_ < 0) throw_io_error("cannot open", file_);
}

line_reader::~line_reader() { ::close(descriptor_); }

bool line_reader::next(std::string_view& line) {
  std::size_t length = 0;  // of what is known to hold no line feed
  bool is_ended = false;
  for (;;) {
    const char* const begin = buffer_.data() + begin_;
    const std::size_t size = end_ - begin_;
    const void* const found =
        size == length ? nullptr : std::memchr(begin + length, '\n', size - length);
    is_ended = found != nullptr;
    length = is_ended ? static_cast<std::size_t>(static_cast<const char*>(found) - begin) : size;
    if (length > max_line_bytes) {
      ++line_number_;
      fail("a line of more than " + std::to_string(max_line_bytes) + " bytes");
    }
    if (is_ended || !refill()) break;
  }
  if (length == 0 && !is_ended) return false;
  line = std::string_view(buffer_.data() + begin_, length);
  begin_ += is_ended ? length + 1 : length;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (++line_number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  return true;
}

void line_reader::fail(const std::string& problem) const {
  throw parse_error(file_ + ":" + std::to_string(line_number_) + ": " + problem, file_,
                    line_number_);
}

// Reads more behind what is left, which it moves to the front first. False when there is no more.
bool line_reader::refill() {
  if (at_end_) return false;
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
            buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  if (end_ + piece_bytes > buffer_.size()) buffer_.resize(2 * buffer_.size());
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
  } while (count < 0 && errno == EINTR);
  if (count < 0) throw_io_error("cannot read", file_);
  end_ += static_cast<std::size_t>(count);
  at_end_ = count == 0;
  return !at_end_;
}

}  // namespace warpbag::data
