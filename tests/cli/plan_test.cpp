// SPDX-License-Identifier: Apache-2.0
// warpbag plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::HasSubstr;

TEST(Plan, prints_tables_ranks_and_the_bound) {
  const program_result run =
      run_program({"plan", "--ranks", "4", "--table", "user:1000000:64:1:1.05:f16:adam", "--table",
                   "item:1000:16:20"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* const part : {"user", "item", "row_wise", "why", "received", "gap"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
}

TEST(Plan, writes_the_plan_and_tells_the_same_in_json) {
  const scratch_folder scratch;
  const std::string tables = scratch / "tables.json";
  write_file(tables, R"([
    {"name": "user", "rows": 1000000, "dim": 64, "alpha": 1.05, "optimizer": "rowwise_adagrad"},
    {"name": "word", "rows": 30000, "dim": 32, "dtype": "bf16", "freeze": true,
     "features": [{"hotness": 20, "pooling": "mean"}, {"weighted": true}]}])");
  const std::string plan = scratch / "plan.json";
  const program_result run = run_program({"plan", tables, "--ranks", "8", "--ranks-per-node", "4",
                                          "--batch", "4096", "--json", "--output", plan});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json told = run.last_event();
  EXPECT_EQ(told["plan"], nlohmann::json::parse(read_file(plan)));
  EXPECT_EQ(told["plan"]["num_ranks"], 8);
  EXPECT_EQ(told["plan"]["tables"][1]["kind"], "data_parallel");
  EXPECT_EQ(told["tables"][1]["memory_bytes"][3], 30000 * 32 * 2);
  EXPECT_EQ(told["ranks"].size(), 8U);
  EXPECT_GE(told["seconds"].get<double>(), told["lower_bound"].get<double>());
}

TEST(Plan, measures_the_machine_it_runs_on) {
  const program_result run =
      run_program({"plan", "--ranks", "3", "--measure", "--json", "--table", "user:100000:64"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_GT(run.last_event()["seconds"].get<double>(), 0.0);
}

TEST(Plan, takes_the_speeds_it_is_given) {
  const auto seconds = [](const char* bandwidths) {
    const program_result run =
        run_program({"plan", "--ranks", "2", "--bandwidths", bandwidths, "--latencies", "0,0",
                     "--json", "--table", "user:1000000:64"});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.last_event()["seconds"].get<double>();
  };
  EXPECT_NEAR(seconds("10,10,10"), 10 * seconds("100,100,100"), 1e-9);
}

TEST(Plan, refuses_with_2_and_says_what_is_wrong) {
  const scratch_folder scratch;
  const std::string unknown_key = scratch / "unknown.json";
  write_file(unknown_key, R"([{"name": "a", "rows": 5, "dim": 4, "colour": 1}])");
  struct bad_call {
    std::vector<std::string> arguments;
    const char* says;
  };
  const std::vector<bad_call> calls = {
      {{"--table", "a:5:4"}, "ranks"},
      {{"--ranks", "2"}, "no tables"},
      {{"--ranks", "0", "--table", "a:5:4"}, "ranks"},
      {{"--ranks", "4", "--ranks-per-node", "3", "--table", "a:5:4"}, "ranks_per_node"},
      {{"--ranks", "2", "--table", "a:5"}, "a:5"},
      {{"--ranks", "2", "--table", "a:-5:4"}, "rows"},
      {{"--ranks", "2", "--table", "a:5:4:1:1:f64"}, "f64"},
      {{"--ranks", "2", "--table", "a:5:4:1:1:f32:magic"}, "magic"},
      {{"--ranks", "2", "--table", "a:5:4", "--table", "a:6:4"}, "twice"},
      {{"--ranks", "2", "--bandwidths", "1,2", "--table", "a:5:4"}, "bandwidths"},
      {{"--ranks", "2", "--memory", "0", "--table", "a:5:4"}, "memory"},
      {{"--ranks", "2", "--memory", "0.001", "--table", "a:1000000:64"}, "'a' does not fit"},
      {{"--ranks", "2", unknown_key}, "[0]: unknown key 'colour'"},
  };
  for (const bad_call& call : calls) {
    std::vector<std::string> arguments = {"plan"};
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    const program_result run = run_program(arguments);
    EXPECT_EQ(run.exit_code, 2) << ::testing::PrintToString(arguments) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr(call.says));
  }
  EXPECT_EQ(run_program({"plan", "/nowhere/tables.json", "--ranks", "2"}).exit_code, 1);
}

}  // namespace
}  // namespace warpbag::cli
