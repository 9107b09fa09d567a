// SPDX-License-Identifier: Apache-2.0
#pragma once
// A file that is there whole or not at all.

#include <cstddef>
#include <filesystem>
#include <span>

#include "io/file_system.hpp"

namespace warpbag::io {

/// A file that others write too, each in a place of its own.
class shared_file {
 public:
  /// Opens a file that is there. Throws io_error.
  shared_file(std::filesystem::path file, file_system& files);
  ~shared_file();
  shared_file(const shared_file&) = delete;
  shared_file& operator=(const shared_file&) = delete;

  /// Throws io_error.
  void write_at(std::uint64_t place, std::span<const std::byte> bytes);
  void sync();

 private:
  std::filesystem::path file_;
  file_system& files_;
  int descriptor_;
};

/// Which temporary file: unlike any other process's and any other writer's of this process, so two
/// savers of one file do not mix their bytes.
struct temporary_number {
  std::int64_t process = 0;
  std::int64_t writer = 0;
};
temporary_number next_temporary();
std::filesystem::path temporary_beside(const std::filesystem::path& file,
                                       const temporary_number& number);

/// Collects bytes in a temporary file beside `file` and puts it in the place of `file` at once.
/// Until the rename in commit() an old `file` is untouched; destroyed without commit(), or after a
/// call that threw before it, the temporary file is gone.
class atomic_file {
 public:
  /// Throws io_error when the temporary file or the folder cannot be opened.
  atomic_file(std::filesystem::path file, file_system& files,
              const temporary_number& number = next_temporary());
  ~atomic_file();
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;

  /// Appends. Throws io_error; then nothing but destruction is left.
  void write(std::span<const std::byte> bytes);

  /// Syncs, closes, renames, syncs the folder: after this a power cut cannot take the file back.
  /// Throws io_error. If only the last step failed the new file is in place, and what() says so.
  void commit();

 private:
  [[noreturn]] void fail(const char* action, const std::filesystem::path& file) const;
  void close_descriptor();

  std::filesystem::path file_;
  std::filesystem::path folder_;
  std::filesystem::path temporary_;  // empty: there is none
  file_system& files_;
  int descriptor_ = -1;
  int folder_descriptor_ = -1;
};

}  // namespace warpbag::io
