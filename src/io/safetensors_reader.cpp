// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "io/safetensors_header.hpp"
#include "warpbag/error.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag {

struct safetensors_reader::state {
  explicit state(const std::filesystem::path& path)
      : file(path.string()), descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor < 0) fail("open");
  }
  ~state() { ::close(descriptor); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  [[noreturn]] void fail(const char* action) const {
    throw io_error("cannot " + std::string(action) + " '" + file +
                   "': " + std::generic_category().message(errno));
  }

  std::uint64_t file_bytes() const {
    struct stat status {};
    if (::fstat(descriptor, &status) < 0) fail("look at");
    if (!S_ISREG(status.st_mode)) throw io_error("'" + file + "' is not a regular file");
    return static_cast<std::uint64_t>(status.st_size);
  }

  void read(std::uint64_t place, std::span<std::byte> out) const {
    while (!out.empty()) {
      const ssize_t count = ::pread(descriptor, out.data(), out.size(), static_cast<off_t>(place));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("read");
      if (count == 0) throw corrupt_file("'" + file + "' became shorter while it was read");
      place += static_cast<std::uint64_t>(count);
      out = out.subspan(static_cast<std::size_t>(count));
    }
  }

  std::string file;
  int descriptor;
  io::safetensors_header header;
  std::uint64_t data_begin = 0;
};

safetensors_reader::safetensors_reader(const std::filesystem::path& file)
    : state_(std::make_unique<state>(file)) {
  const std::uint64_t file_bytes = state_->file_bytes();
  std::array<std::byte, io::length_bytes> length_field{};
  if (file_bytes < length_field.size()) {
    throw corrupt_file("'" + state_->file + "' is too short for a safetensors file");
  }
  state_->read(0, length_field);
  std::uint64_t length = 0;
  for (std::size_t k = length_field.size(); k-- > 0;) {
    length = length << 8 | std::to_integer<std::uint64_t>(length_field[k]);
  }
  if (length > io::max_header_bytes || length > file_bytes - length_field.size()) {
    throw corrupt_file("'" + state_->file + "': a header of " + std::to_string(length) +
                       " bytes in a file of " + std::to_string(file_bytes));
  }
  std::string text(length, '\0');
  state_->read(length_field.size(), std::as_writable_bytes(std::span(text)));
  state_->data_begin = length_field.size() + length;
  state_->header = io::parse_header(text, file_bytes - state_->data_begin, state_->file);
}

safetensors_reader::~safetensors_reader() = default;
safetensors_reader::safetensors_reader(safetensors_reader&&) noexcept = default;
safetensors_reader& safetensors_reader::operator=(safetensors_reader&&) noexcept = default;

std::span<const safetensors_entry> safetensors_reader::entries() const noexcept {
  return state_->header.entries;
}

const safetensors_metadata& safetensors_reader::metadata() const noexcept {
  return state_->header.metadata;
}

const safetensors_entry* safetensors_reader::find(std::string_view name) const noexcept {
  const auto& entries = state_->header.entries;
  const auto found =
      std::find_if(entries.begin(), entries.end(),
                   [name](const safetensors_entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

void safetensors_reader::read(std::string_view name, std::uint64_t begin,
                              std::span<std::byte> out) const {
  const safetensors_entry* const entry = find(name);
  if (entry == nullptr) {
    throw invalid_argument("'" + state_->file + "' has no tensor '" + std::string(name) + "'");
  }
  const std::uint64_t num_bytes = entry->num_bytes();
  if (begin > num_bytes || out.size() > num_bytes - begin) {
    throw invalid_argument("tensor '" + entry->name + "' has " + std::to_string(num_bytes) +
                           " bytes; byte " + std::to_string(begin) + " and " +
                           std::to_string(out.size()) + " more were asked for");
  }
  const auto index = static_cast<std::size_t>(entry - state_->header.entries.data());
  state_->read(state_->data_begin + state_->header.begins[index] + begin, out);
}

}  // namespace warpbag
