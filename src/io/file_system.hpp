// SPDX-License-Identifier: Apache-2.0
#pragma once
// The system calls that a file is written with, as an interface: where tests make the disk fail.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "warpbag/export.hpp"

namespace warpbag {

/// Every call returns what its POSIX namesake does: a negative number for failure, with errno set.
class WARPBAG_EXPORT file_system {
 public:
  virtual ~file_system() = default;

  /// Creates a file for writing; fails when there is one. Returns a descriptor.
  virtual int create(const std::filesystem::path& file);

  /// Opens a file that is there for writing, which does not shorten it.
  virtual int open(const std::filesystem::path& file);

  /// A descriptor of a folder, to sync it by.
  virtual int open_folder(const std::filesystem::path& folder);

  /// May write less than asked for.
  virtual ssize_t write(int descriptor, const void* bytes, std::size_t size);
  /// pwrite(2).
  virtual ssize_t write_at(int descriptor, const void* bytes, std::size_t size,
                           std::uint64_t place);
  virtual int sync(int descriptor);
  virtual int close(int descriptor);
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to);
  virtual int remove(const std::filesystem::path& file);
};

/// The real one.
file_system& system_files();

}  // namespace warpbag
