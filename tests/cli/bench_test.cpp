// SPDX-License-Identifier: Apache-2.0
// warpbag bench.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <set>
#include <sstream>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

/// Of the program's bench, quick: two runs each, and no memory bandwidth is measured.
program_result run_bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  arguments.insert(arguments.end(), {"--iterations", "2", "--bandwidth", "10"});
  return run_program(arguments);
}

TEST(Bench, tells_every_call_in_json) {
  const program_result run =
      run_bench({"tiny-tables[0]", "--batch", "64", "--optimizer", "adam", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json told = nlohmann::json::parse(run.out);
  std::set<std::string> names;
  for (const nlohmann::json& result : told["benchmarks"]) {
    names.insert(result["name"].get<std::string>());
    EXPECT_EQ(result["lookups"], 4 * 64 * 10);
    EXPECT_EQ(result["runs"], 2);
    EXPECT_GT(result["unique_rows"], 0);
    EXPECT_GT(result["hottest_row"], 0);
    EXPECT_GT(result["floor_bytes"], 0);
    EXPECT_GT(result["p50_seconds"], 0);
    EXPECT_GE(result["p99_seconds"], result["p50_seconds"]);
    EXPECT_GT(result["percent_of_floor"], 0);
    EXPECT_THAT(result["label"].get<std::string>(), HasSubstr("adam"));
  }
  const std::string suffix = "/warm/iterations:2/manual_time";
  EXPECT_EQ(names,
            (std::set<std::string>{
                "tiny-tables[0]/forward" + suffix, "tiny-tables[0]/deduplicate" + suffix,
                "tiny-tables[0]/backward_sparse" + suffix, "tiny-tables[0]/backward_fused" + suffix,
                "tiny-tables[0]/train_step" + suffix}));
}

TEST(Bench, every_axis_changes_the_workload) {
  std::istringstream words(
      "custom --rows 300 --dim 12 --batch 20 --hotness 3 --tables 2 --law power_law --alpha 1.1 "
      "--bags jagged --dtype bf16 --ids i32 --pooling mean --weighted --optimizer ftrl --clip norm "
      "--clip-limit 1 --decay-mode l2 --weight-decay 0.1 --stochastic-rounding "
      "--scale-grad-by-freq --json --call forward");
  const program_result run = run_bench({std::istream_iterator<std::string>(words), {}});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(nlohmann::json::parse(run.out)["benchmarks"][0]["label"],
            "T=2 E=300 D=12 B=20 L=3 bf16 i32 mean power_law alpha=1.1 jagged weighted ftrl "
            "decay=l2 clip=norm stochastic_rounding scale_grad_by_freq");
}

TEST(Bench, prints_a_table_of_warm_and_cold_caches) {
  const program_result run = run_bench({"custom", "--rows", "100", "--batch", "8", "--cache",
                                        "both", "--call", "forward", "--threads", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  for (const char* const part :
       {"p50 ms", "% floor", "custom/forward/warm", "custom/forward/cold"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
}

TEST(Bench, writes_the_ids_for_other_programs) {
  const scratch_folder scratch;
  const program_result run = run_program(
      {"bench", "tiny-tables[1]", "--batch", "8", "--bags", "jagged", "--dump", scratch / "ids"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::string file = read_file(scratch / "ids");
  for (const char* const part : {"\"3.ids\"", "\"3.offsets\"", "\"shape\":[9]", "tiny-tables[1]"}) {
    EXPECT_THAT(file, HasSubstr(part));
  }
}

TEST(Bench, prints_the_tuning_choices) {
  const program_result run = run_program({"bench", "--tuning"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, ContainsRegex("cpu +bytes_ahead +8192  .*128 lines"));
}

TEST(Bench, refuses_with_2_and_says_what_is_wrong) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> calls = {
      {{"no-such"}, "no-such"},
      {{"tiny-tables", "--call", "fly"}, "fly"},
      {{"tiny-tables", "--rows", "0"}, "rows"},
      {{"tiny-tables", "--law", "zipf", "--alpha", "1"}, "alpha"},
      {{"tiny-tables", "--cache", "tepid"}, "cache"},
      {{"tiny-tables", "--dump", "/tmp/x"}, "one workload"},
      {{"tiny-tables[0]", "--rows", "9", "--dim", "9000"}, "dim"},
      {{"tiny-tables[0]", "--rows", "9", "--pooling", "max", "--weighted"}, "weights"},
  };
  for (const auto& [arguments, says] : calls) {
    const program_result run = run_bench(arguments);
    EXPECT_EQ(run.exit_code, 2) << ::testing::PrintToString(arguments) << run.err;
    EXPECT_THAT(run.err, HasSubstr(says));
  }
}

}  // namespace
}  // namespace warpbag::cli
