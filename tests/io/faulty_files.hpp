// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk that fails when it is told to.

#include <algorithm>
#include <cerrno>

#include "io/file_system.hpp"

namespace warpbag::testing {

/// The real file system, but call number `failing_call` (from 0) fails with `reason`, and a write
/// moves at most `max_write` bytes. Removing a file is no call: it is how failures are cleaned up.
class faulty_files : public file_system {
 public:
  faulty_files(int failing_call, int reason, std::size_t max_write = 1 << 30)
      : calls_left_(failing_call), reason_(reason), max_write_(max_write) {}

  bool has_failed() const noexcept { return calls_left_ < 0; }

  int create(const std::filesystem::path& file) override {
    return fails() ? -1 : file_system::create(file);
  }
  int open(const std::filesystem::path& file) override {
    return fails() ? -1 : file_system::open(file);
  }
  int open_folder(const std::filesystem::path& folder) override {
    return fails() ? -1 : file_system::open_folder(folder);
  }
  ssize_t write(int descriptor, const void* bytes, std::size_t size) override {
    return fails() ? -1 : file_system::write(descriptor, bytes, std::min(size, max_write_));
  }
  ssize_t write_at(int descriptor, const void* bytes, std::size_t size,
                   std::uint64_t place) override {
    return fails() ? -1
                   : file_system::write_at(descriptor, bytes, std::min(size, max_write_), place);
  }
  int sync(int descriptor) override { return fails() ? -1 : file_system::sync(descriptor); }
  int close(int descriptor) override {
    const int result = file_system::close(descriptor);  // happens even where it is said to fail
    return fails() ? -1 : result;
  }
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return fails() ? -1 : file_system::rename(from, to);
  }

 private:
  bool fails() {
    if (calls_left_-- != 0) return false;
    errno = reason_;
    return true;
  }

  int calls_left_;
  int reason_;
  std::size_t max_write_;
};

}  // namespace warpbag::testing
