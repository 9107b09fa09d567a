// SPDX-License-Identifier: Apache-2.0
// Training on a CUDA device writes the checkpoint of the CPU, byte for byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

constexpr const char* file_name = "/checkpoint.safetensors";

/// Four steps of a tiny run.
program_result train_on(const std::string& device, const std::string& folder,
                        const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "train",  "--generate",   "300",  "--users",      "20",  "--items",
      "15",     "--batch-size", "70",   "--steps",      "4",   "--quiet",
      "--json", "--device",     device, "--checkpoint", folder};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

TEST(CudaTrain, writes_the_checkpoint_of_the_cpu) {
  const std::vector<std::vector<std::string>> runs = {
      {"--dim", "16"},
      {"--dim", "6", "--optimizer", "adam", "--dtype", "f16", "--stochastic-rounding"},
      {"--dim", "7", "--optimizer", "sgd", "--momentum", "0.9", "--pooling", "history=max",
       "--dtype", "bf16"},
      {"--dim", "33", "--optimizer", "rowwise_adagrad", "--max-rows", "8", "--bad-ids", "zero",
       "--clip", "norm", "--clip-limit", "0.01"}};
  for (const std::vector<std::string>& more : runs) {
    const scratch_folder scratch;
    const std::string name = ::testing::PrintToString(more);
    const program_result cpu = train_on("cpu", scratch / "cpu", more);
    ASSERT_EQ(cpu.exit_code, 0) << name << cpu.err;
    const program_result cuda = train_on("cuda", scratch / "cuda", more);
    ASSERT_EQ(cuda.exit_code, 0) << name << cuda.err;
    EXPECT_TRUE(read_file(scratch / "cpu" + file_name) == read_file(scratch / "cuda" + file_name))
        << name;
    EXPECT_EQ(cpu.last_event()["validation_loss"], cuda.last_event()["validation_loss"]) << name;
  }
}

TEST(CudaTrain, resumes_a_run_of_the_cpu) {
  const scratch_folder scratch;
  ASSERT_EQ(train_on("cpu", scratch / "whole", {"--dim", "5"}).exit_code, 0);
  const program_result begun = run_program(
      {"train", "--generate", "300", "--users", "20", "--items", "15", "--batch-size", "70",
       "--dim", "5", "--steps", "2", "--quiet", "--checkpoint", scratch / "parts"});
  ASSERT_EQ(begun.exit_code, 0) << begun.err;
  const program_result resumed = train_on("cuda", scratch / "parts", {"--dim", "5", "--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(read_file(scratch / "whole" + file_name) == read_file(scratch / "parts" + file_name));
}

#ifdef WARPBAG_TEST_NCCL
TEST(CudaTrain, writes_the_checkpoint_of_the_cpu_over_two_devices) {
  const scratch_folder scratch;
  const program_result cpu = train_on("cpu", scratch / "cpu", {"--dim", "6"});
  ASSERT_EQ(cpu.exit_code, 0) << cpu.err;
  const program_result cuda =
      run_program({"train",      "--generate",   "300",           "--users", "20",
                   "--items",    "15",           "--batch-size",  "70",      "--steps",
                   "4",          "--quiet",      "--json",        "--dim",   "6",
                   "--sharding", "row_wise",     "--ranks",       "2",       "--transport",
                   "nccl",       "--checkpoint", scratch / "cuda"});
  if (cuda.exit_code == 4) GTEST_SKIP() << cuda.err;  // a machine with one GPU
  ASSERT_EQ(cuda.exit_code, 0) << cuda.err;
  EXPECT_TRUE(read_file(scratch / "cpu" + file_name) == read_file(scratch / "cuda" + file_name));
  EXPECT_EQ(told_numbers(cpu), told_numbers(cuda));
}
#endif

TEST(CudaTrain, names_the_bad_id_and_writes_nothing) {
  const scratch_folder scratch;
  const program_result run = train_on("cuda", scratch / "run", {"--max-rows", "8"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, ::testing::HasSubstr("user.vector"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "run" + file_name));
}

}  // namespace
}  // namespace warpbag::cli
