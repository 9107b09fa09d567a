// SPDX-License-Identifier: Apache-2.0
// `mpirun -np N warpbag train --transport mpi` does what one device does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

constexpr const char* file_name = "/checkpoint.safetensors";

std::vector<std::string> run_in(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "train", "--generate",   "3000", "--users",  "50", "--items", "40",           "--dim",
      "6",     "--batch-size", "100",  "--epochs", "1",  "--json",  "--checkpoint", folder};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

program_result run_under_mpi(const std::string& ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {WARPBAG_MPIRUN, WARPBAG_MPIRUN_RANKS, ranks, program_file()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words.insert(words.end(), {"--transport", "mpi", "--deadline", "30"});
  return run_command(words);
}

TEST(MpiRanks, train_to_the_bytes_and_numbers_of_one_device) {
  const scratch_folder scratch;
  const program_result one = run_program(run_in(scratch / "one", {}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  for (const char* const ranks : {"2", "4"}) {
    const program_result run =
        run_under_mpi(ranks, run_in(scratch / ranks, {"--sharding", "row_wise"}));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(told_numbers(one), told_numbers(run)) << "rank 0 alone tells";
    EXPECT_TRUE(read_file(scratch / "one" + file_name) == read_file(scratch / ranks + file_name))
        << ranks;
  }
}

TEST(MpiRanks, end_together_when_one_fails) {
  const scratch_folder scratch;
  const program_result bad_id = run_under_mpi("2", run_in(scratch / "run", {"--max-rows", "20"}));
  EXPECT_NE(bad_id.exit_code, 0);
  EXPECT_THAT(bad_id.err, ::testing::HasSubstr("user.vector"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "run" + file_name));

  write_file(scratch / "file", "in the way of a folder");
  const program_result no_folder = run_under_mpi("3", run_in(scratch / "file/run", {}));
  EXPECT_NE(no_folder.exit_code, 0);
  EXPECT_THAT(no_folder.err, ::testing::HasSubstr("file/run"));
}

}  // namespace
}  // namespace warpbag::cli
