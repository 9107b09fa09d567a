// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "io/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/error.hpp"

namespace warpbag::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using warpbag::testing::bytes_of;
using warpbag::testing::faulty_files;
using warpbag::testing::temporary_folder;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void save(const std::filesystem::path& file, file_system& files) {
  atomic_file out(file, files);
  out.write(as_bytes("new "));
  out.write(as_bytes("content"));
  out.commit();
}

std::vector<std::string> files_in(const temporary_folder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(AtomicFile, puts_a_file_in_place_of_an_old_one) {
  const temporary_folder folder;
  const auto file = folder.write("file", "old");
  save(file, system_files());
  EXPECT_EQ(bytes_of(file), "new content");
  EXPECT_THAT(files_in(folder), ElementsAre("file"));
}

TEST(AtomicFile, makes_a_file_where_there_was_none) {
  const temporary_folder folder;
  save(folder.path() / "file", system_files());
  EXPECT_EQ(bytes_of(folder.path() / "file"), "new content");
  EXPECT_THAT(files_in(folder), ElementsAre("file"));
}

TEST(AtomicFile, leaves_no_trace_without_commit) {
  const temporary_folder folder;
  const auto file = folder.write("file", "old");
  {
    atomic_file out(file, system_files());
    out.write(as_bytes("new"));
    EXPECT_EQ(files_in(folder).size(), 2U);
    EXPECT_EQ(bytes_of(file), "old");
  }
  EXPECT_EQ(bytes_of(file), "old");
  EXPECT_THAT(files_in(folder), ElementsAre("file"));
}

TEST(AtomicFile, keeps_the_old_file_whichever_call_fails) {
  // open_folder, create, two writes, sync, close, rename, then sync of the folder.
  constexpr int rename_call = 6;
  for (const int reason : {ENOSPC, EIO, EROFS}) {
    for (int call = 0; call <= rename_call; ++call) {
      const temporary_folder folder;
      const auto file = folder.write("file", "old");
      faulty_files files(call, reason);
      try {
        save(file, files);
        FAIL() << "call " << call << " did not fail";
      } catch (const io_error& problem) {
        EXPECT_THAT(problem.what(), HasSubstr(std::generic_category().message(reason)));
        EXPECT_THAT(problem.what(), HasSubstr(folder.path().string()));
      }
      EXPECT_EQ(bytes_of(file), "old") << "call " << call;
      EXPECT_THAT(files_in(folder), ElementsAre("file")) << "call " << call;
    }
    const temporary_folder folder;
    const auto file = folder.write("file", "old");
    faulty_files files(rename_call + 1, reason);
    EXPECT_THROW(save(file, files), io_error) << "a power cut may bring the old file back";
    EXPECT_EQ(bytes_of(file), "new content");
    EXPECT_THAT(files_in(folder), ElementsAre("file"));
  }
}

TEST(AtomicFile, writes_on_after_short_writes_and_signals) {
  for (int call = 2; call < 12; ++call) {  // every one is a write of one byte
    const temporary_folder folder;
    faulty_files files(call, EINTR, 1);
    save(folder.path() / "file", files);
    EXPECT_TRUE(files.has_failed());
    EXPECT_EQ(bytes_of(folder.path() / "file"), "new content");
  }
}

TEST(AtomicFile, lets_two_write_the_same_file_without_mixing) {
  const temporary_folder folder;
  const auto file = folder.path() / "file";
  atomic_file first(file, system_files());
  atomic_file second(file, system_files());
  first.write(as_bytes("first"));
  second.write(as_bytes("second"));
  second.commit();
  EXPECT_EQ(bytes_of(file), "second");
  first.commit();
  EXPECT_EQ(bytes_of(file), "first");
}

TEST(AtomicFile, refuses_a_folder_that_is_not_there) {
  const temporary_folder folder;
  EXPECT_THROW(atomic_file(folder.path() / "absent" / "file", system_files()), io_error);
  EXPECT_THAT(files_in(folder), IsEmpty());
}

}  // namespace
}  // namespace warpbag::io
