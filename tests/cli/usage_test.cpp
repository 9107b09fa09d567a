// SPDX-License-Identifier: Apache-2.0
// Arguments, exit codes and inspect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> tiny_run(const std::string& folder) {
  return {"train", "--generate", "1000", "--epochs", "1", "--quiet", "--checkpoint", folder};
}

TEST(Usage, help_and_version_succeed) {
  for (const char* const verb : {"train", "eval", "inspect", "plan", "bench"}) {
    const program_result help = run_program({verb, "--help"});
    EXPECT_EQ(help.exit_code, 0) << verb;
    EXPECT_THAT(help.out, HasSubstr("Example:"));
    EXPECT_THAT(help.out, HasSubstr(std::string("warpbag ") + verb));
  }
  EXPECT_EQ(run_program({"--help"}).exit_code, 0);
  const program_result version = run_program({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, HasSubstr("warpbag "));
}

TEST(Usage, bad_arguments_exit_with_2_and_say_what_is_wrong) {
  struct bad_call {
    std::vector<std::string> arguments;
    const char* says;
  };
  const std::vector<bad_call> calls = {
      {{}, "subcommand"},
      {{"fly"}, "subcommand"},
      {{"train", "--fly"}, "fly"},
      {{"train"}, "no data"},
      {{"train", "--generate", "0"}, "generate"},
      {{"train", "--generate", "many"}, "generate"},
      {{"train", "--generate", "100", "--data", "x"}, "data"},
      {{"train", "--users", "5", "--data", "x"}, "generate"},
      {{"train", "--generate", "100", "--optimizer", "magic"}, "optimizer"},
      {{"train", "--generate", "100", "--lr", "-1"}, "learning"},
      {{"train", "--generate", "100", "--dim", "0"}, "dim"},
      {{"train", "--generate", "100", "--dim", "8193"}, "dim"},
      {{"train", "--generate", "100", "--dtype", "f64"}, "dtype"},
      {{"train", "--generate", "100", "--batch-size", "0"}, "batch-size"},
      {{"train", "--generate", "100", "--validation", "1.5"}, "validation"},
      {{"train", "--generate", "100", "--weight-decay", "0.1"}, "decay"},
      {{"train", "--generate", "100", "--clip", "norm"}, "clip"},
      {{"train", "--generate", "100", "--pooling", "history"}, "pooling"},
      {{"train", "--generate", "100", "--pooling", "user=mean"}, "user"},
      {{"train", "--generate", "100", "--device", "tpu"}, "device"},
      {{"train", "--generate", "100", "--resume"}, "checkpoint"},
      {{"train", "--generate", "100", "--save-every", "5"}, "checkpoint"},
      {{"train", "--generate", "100", "--epochs", "1", "--steps", "1"}, "steps"},
      {{"train", "--generate", "100", "--ranks", "0"}, "ranks"},
      {{"train", "--generate", "100", "--ranks", "two"}, "ranks"},
      {{"train", "--generate", "100", "--transport", "pigeon"}, "pigeon"},
      {{"train", "--generate", "100", "--transport", "mpi", "--ranks", "2"}, "mpirun"},
      {{"train", "--generate", "100", "--transport", "in_process"}, "--ranks"},
      {{"train", "--generate", "100", "--ranks", "2", "--device", "cuda"}, "CPU"},
      {{"train", "--generate", "100", "--ranks", "2", "--sharding", "grid"}, "grid"},
      {{"train", "--generate", "100", "--ranks", "2", "--deadline", "0"}, "deadline"},
      {{"train", "--generate", "100", "--plan", "x"}, "--ranks"},
      {{"train", "--generate", "100", "--ranks", "2", "--plan", "x", "--sharding", "auto"}, "plan"},
      {{"eval"}, "checkpoint"},
      {{"inspect"}, "folder"},
  };
  for (const bad_call& call : calls) {
    const program_result run = run_program(call.arguments);
    const std::string name = ::testing::PrintToString(call.arguments);
    EXPECT_EQ(run.exit_code, 2) << name << run.err;
    EXPECT_EQ(run.out, "") << name;
    EXPECT_THAT(run.err, HasSubstr(call.says)) << name;
  }
}

TEST(Usage, a_missing_device_exits_with_4) {
  const program_result run = run_program({"train", "--generate", "100", "--device", "cuda:99"});
  EXPECT_EQ(run.exit_code, 4) << run.err;
}

TEST(Usage, missing_files_exit_with_1) {
  EXPECT_EQ(run_program({"train", "--data", "/nowhere/x.inter"}).exit_code, 1);
  EXPECT_EQ(run_program({"inspect", "/nowhere"}).exit_code, 1);
  EXPECT_EQ(run_program({"eval", "--checkpoint", "/nowhere"}).exit_code, 1);
  const scratch_folder scratch;
  const program_result resume =
      run_program({"train", "--generate", "100", "--resume", "--checkpoint", scratch / "none"});
  EXPECT_EQ(resume.exit_code, 1) << resume.err;
}

TEST(Inspect, shows_tables_and_options) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(tiny_run(scratch / "run")).exit_code, 0);
  const program_result text = run_program({"inspect", scratch / "run"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("user.vector.weight"));
  EXPECT_THAT(text.out, HasSubstr("adagrad"));

  const program_result json = run_program({"inspect", scratch / "run", "--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  const nlohmann::json shown = json.last_event();
  EXPECT_EQ(shown["checksums"], "ok");
  EXPECT_EQ(shown["tokens"]["user"], 0);
  EXPECT_EQ(shown["progress"]["step"], 1);
  EXPECT_EQ(shown["machine"]["dim"], 16);
  bool found = false;
  for (const nlohmann::json& tensor : shown["tensors"]) {
    if (tensor["name"] != "item.vector.weight") continue;
    found = true;
    EXPECT_EQ(tensor["type"], "F32");
    EXPECT_EQ(tensor["shape"], (std::vector<int>{10, 16}));
  }
  EXPECT_TRUE(found);
}

TEST(Inspect, finds_damage_and_exits_with_3) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(tiny_run(scratch / "run")).exit_code, 0);
  const std::string file = scratch / "run/checkpoint.safetensors";
  const std::string good = read_file(file);
  std::string flipped = good;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  const std::vector<std::string> damaged = {flipped, good.substr(0, good.size() - 9),
                                            good.substr(0, 5), "", std::string(1000, '\0')};
  for (std::size_t i = 0; i < damaged.size(); ++i) {
    write_file(file, damaged[i]);
    const program_result run = run_program({"inspect", scratch / "run"});
    EXPECT_EQ(run.exit_code, 3) << i << run.err;
    EXPECT_THAT(run.err, HasSubstr("checkpoint.safetensors")) << i;
    EXPECT_EQ(run_program({"eval", "--checkpoint", scratch / "run"}).exit_code, 3) << i;
  }
}

}  // namespace
}  // namespace warpbag::cli
