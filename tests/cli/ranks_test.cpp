// SPDX-License-Identifier: Apache-2.0
// `warpbag train --ranks N` does what one device does: the same checkpoint bytes and the same
// numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::HasSubstr;

/// 3601 samples to train on: 37 steps an epoch, the last of 1 sample, which most ranks have no part
/// of.
std::vector<std::string> run_in(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "train",        "--generate", "4001",         "--users", "50",           "--items", "40",
      "--batch-size", "100",        "--dim",        "5",       "--validation", "0.1",     "--json",
      "--log-every",  "9",          "--checkpoint", folder};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string checkpoint_in(const std::string& folder) {
  return read_file(folder + "/checkpoint.safetensors");
}

TEST(Ranks, train_to_the_bytes_and_numbers_of_one_device) {
  const std::vector<std::vector<std::string>> runs = {
      {"--epochs", "2"},
      {"--epochs", "1", "--optimizer", "adam", "--dtype", "f16", "--stochastic-rounding"},
      {"--epochs", "1", "--pooling", "history=max", "--max-rows", "20", "--bad-ids", "skip"}};
  for (const std::vector<std::string>& more : runs) {
    const scratch_folder scratch;
    const program_result one = run_program(run_in(scratch / "one", more));
    ASSERT_EQ(one.exit_code, 0) << one.err;
    for (const char* const ranks : {"1", "2", "3", "4"}) {
      for (const char* const sharding : {"auto", "row_wise"}) {
        const std::string folder = scratch / (std::string(ranks) + sharding);
        std::vector<std::string> split = run_in(folder, more);
        split.insert(split.end(), {"--ranks", ranks, "--sharding", sharding});
        const program_result run = run_program(split);
        const std::string name = ::testing::PrintToString(split);
        ASSERT_EQ(run.exit_code, 0) << name << run.err;
        EXPECT_EQ(told_numbers(one), told_numbers(run)) << name;
        EXPECT_TRUE(checkpoint_in(scratch / "one") == checkpoint_in(folder)) << name;
      }
    }
  }
}

TEST(Ranks, go_on_from_a_checkpoint_of_other_ranks) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(run_in(scratch / "whole", {"--steps", "60"})).exit_code, 0);
  const auto go_on = [&](std::vector<std::string> more) {
    const program_result run = run_program(run_in(scratch / "parts", more));
    EXPECT_EQ(run.exit_code, 0) << run.err;
  };
  go_on({"--steps", "7", "--ranks", "4", "--sharding", "row_wise"});
  go_on({"--steps", "40", "--ranks", "3", "--resume", "--save-every", "15"});
  go_on({"--steps", "50", "--resume"});
  go_on({"--steps", "60", "--ranks", "2", "--resume", "--sharding", "data_parallel"});
  EXPECT_TRUE(checkpoint_in(scratch / "whole") == checkpoint_in(scratch / "parts"));
}

TEST(Ranks, follow_a_plan) {
  const scratch_folder scratch;
  const std::string plan = scratch / "plan.json";
  write_file(plan, R"({"warpbag.plan": 1, "num_ranks": 3, "tables": [
    {"table": "user.vector", "kind": "column_wise", "ranks": [2, 0], "column_pieces": 2},
    {"table": "user.linear", "kind": "table_wise", "ranks": [1]},
    {"table": "item.vector", "kind": "row_wise", "ranks": [0, 1, 2], "replicated_rows": [0, 3]},
    {"table": "item.linear", "kind": "row_wise", "ranks": [0, 2]},
    {"table": "bias", "kind": "data_parallel", "ranks": []}]})");
  const program_result one = run_program(run_in(scratch / "one", {"--epochs", "1"}));
  const program_result planned =
      run_program(run_in(scratch / "planned", {"--epochs", "1", "--ranks", "3", "--plan", plan}));
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_EQ(told_numbers(one), told_numbers(planned));
  EXPECT_TRUE(checkpoint_in(scratch / "one") == checkpoint_in(scratch / "planned"));

  const program_result too_few =
      run_program(run_in(scratch / "x", {"--ranks", "2", "--plan", plan}));
  EXPECT_EQ(too_few.exit_code, 2);
  EXPECT_THAT(too_few.err, HasSubstr("3 ranks"));
  write_file(plan, R"({"warpbag.plan": 1, "num_ranks": 2)");
  const program_result broken =
      run_program(run_in(scratch / "x", {"--ranks", "2", "--plan", plan}));
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_THAT(broken.err, HasSubstr("plan.json"));
  const program_result none =
      run_program(run_in(scratch / "x", {"--ranks", "2", "--plan", scratch / "none"}));
  EXPECT_EQ(none.exit_code, 1);
}

TEST(Ranks, end_together_with_the_words_of_the_one_at_fault) {
  const scratch_folder scratch;
  const program_result bad_id =
      run_program(run_in(scratch / "run", {"--ranks", "3", "--max-rows", "20"}));
  EXPECT_EQ(bad_id.exit_code, 1);
  EXPECT_THAT(bad_id.err, HasSubstr("user.vector"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "run/checkpoint.safetensors"));

  write_file(scratch / "file", "in the way of a folder");
  const program_result no_folder =
      run_program(run_in(scratch / "file/run", {"--ranks", "3", "--steps", "3"}));
  EXPECT_EQ(no_folder.exit_code, 1);
  EXPECT_THAT(no_folder.err, HasSubstr("file/run")) << "not that another rank has closed";
}

TEST(Ranks, agree_on_the_step_at_which_an_interrupt_came) {
  const scratch_folder scratch;
  bool sent = false;
  const program_result stopped =
      run_program(run_in(scratch / "parts", {"--steps", "1000000000", "--ranks", "3"}),
                  [&](int pid, std::string_view line) {
                    if (sent || nlohmann::json::parse(line).value("step", 0) < 9) return;
                    sent = true;
                    ::kill(pid, SIGINT);
                  });
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  const nlohmann::json result = stopped.last_event();
  EXPECT_EQ(result["interrupted"], true);
  const std::string steps = std::to_string(result["steps"].get<int>());
  ASSERT_EQ(run_program(run_in(scratch / "whole", {"--steps", steps})).exit_code, 0);
  EXPECT_TRUE(checkpoint_in(scratch / "whole") == checkpoint_in(scratch / "parts"));
}

}  // namespace
}  // namespace warpbag::cli
