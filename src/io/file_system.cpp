// SPDX-License-Identifier: Apache-2.0
#include "io/file_system.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace warpbag {

int file_system::create(const std::filesystem::path& file) {
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

int file_system::open(const std::filesystem::path& file) {
  return ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
}

int file_system::open_folder(const std::filesystem::path& folder) {
  return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

ssize_t file_system::write(int descriptor, const void* bytes, std::size_t size) {
  return ::write(descriptor, bytes, size);
}

ssize_t file_system::write_at(int descriptor, const void* bytes, std::size_t size,
                              std::uint64_t place) {
  return ::pwrite(descriptor, bytes, size, static_cast<off_t>(place));
}

int file_system::sync(int descriptor) { return ::fsync(descriptor); }

int file_system::close(int descriptor) { return ::close(descriptor); }

int file_system::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  return std::rename(from.c_str(), to.c_str());
}

int file_system::remove(const std::filesystem::path& file) { return ::unlink(file.c_str()); }

file_system& system_files() {
  static file_system files;
  return files;
}

}  // namespace warpbag
