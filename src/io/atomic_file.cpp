// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "warpbag/error.hpp"

namespace warpbag::io {
namespace {

// One write(2) moves at most 2^31 - 4096 bytes on Linux; smaller ones let a signal through in time.
constexpr std::size_t max_write_bytes = std::size_t{1} << 28;

[[noreturn]] void throw_io_error(const char* action, const std::filesystem::path& file) {
  throw io_error("cannot " + std::string(action) + ": '" + file.string() +
                 "': " + std::generic_category().message(errno));
}

/// write_some(bytes) writes some of them and returns what its system call did.
template <typename WriteSome>
void write_all(std::span<const std::byte> bytes, const std::filesystem::path& file,
               WriteSome write_some) {
  while (!bytes.empty()) {
    const ssize_t count = write_some(bytes.first(std::min(bytes.size(), max_write_bytes)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io_error("write", file);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

temporary_number next_temporary() {
  static std::atomic<std::int64_t> count{0};
  return {::getpid(), count++};
}

std::filesystem::path temporary_beside(const std::filesystem::path& file,
                                       const temporary_number& number) {
  std::filesystem::path out = file;
  out += ".tmp-" + std::to_string(number.process) + "-" + std::to_string(number.writer);
  return out;
}

shared_file::shared_file(std::filesystem::path file, file_system& files)
    : file_(std::move(file)), files_(files), descriptor_(files.open(file_)) {
  if (descriptor_ < 0) throw_io_error("open", file_);
}

shared_file::~shared_file() { files_.close(descriptor_); }

void shared_file::write_at(std::uint64_t place, std::span<const std::byte> bytes) {
  write_all(bytes, file_, [&](std::span<const std::byte> some) {
    const ssize_t count = files_.write_at(descriptor_, some.data(), some.size(), place);
    if (count > 0) place += static_cast<std::uint64_t>(count);
    return count;
  });
}

void shared_file::sync() {
  if (files_.sync(descriptor_) < 0) throw_io_error("sync", file_);
}

atomic_file::atomic_file(std::filesystem::path file, file_system& files,
                         const temporary_number& number)
    : file_(std::move(file)), folder_(file_.parent_path()), files_(files) {
  if (folder_.empty()) folder_ = ".";
  folder_descriptor_ = files_.open_folder(folder_);
  if (folder_descriptor_ < 0) fail("open folder", folder_);
  const std::filesystem::path temporary = temporary_beside(file_, number);
  descriptor_ = files_.create(temporary);
  if (descriptor_ < 0) {
    const int reason = errno;
    files_.close(folder_descriptor_);  // the destructor does not run
    errno = reason;
    fail("create", temporary);
  }
  temporary_ = temporary;
}

atomic_file::~atomic_file() {
  if (descriptor_ >= 0) files_.close(descriptor_);
  if (!temporary_.empty()) files_.remove(temporary_);
  files_.close(folder_descriptor_);
}

void atomic_file::write(std::span<const std::byte> bytes) {
  write_all(bytes, temporary_, [&](std::span<const std::byte> some) {
    return files_.write(descriptor_, some.data(), some.size());
  });
}

void atomic_file::commit() {
  if (files_.sync(descriptor_) < 0) fail("sync", temporary_);
  close_descriptor();
  if (files_.rename(temporary_, file_) < 0) fail("rename to its place", temporary_);
  temporary_.clear();
  if (files_.sync(folder_descriptor_) < 0) {
    fail("sync (the new file is in place, but a power cut may bring the old one back)", folder_);
  }
}

void atomic_file::fail(const char* action, const std::filesystem::path& file) const {
  throw_io_error(action, file);
}

void atomic_file::close_descriptor() {
  // Linux has closed it whatever close(2) returns, so it must not be closed again.
  const int descriptor = std::exchange(descriptor_, -1);
  if (files_.close(descriptor) < 0 && errno != EINTR) fail("close", temporary_);
}

}  // namespace warpbag::io
