// SPDX-License-Identifier: Apache-2.0
// warpbag bench on a CUDA device: that it measures what the CPU measures, not how fast.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

nlohmann::json measured_on(const std::string& device) {
  const program_result run = run_program({"bench", "tiny-tables[0]", "--rows", "30", "--batch", "8",
                                          "--hotness", "3", "--cache", "both", "--iterations", "1",
                                          "--bandwidth", "10", "--json", "--device", device});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return nlohmann::json::parse(run.out);
}

TEST(CudaBench, measures_every_call_with_cold_and_warm_caches) {
  const nlohmann::json cpu = measured_on("cpu");
  const nlohmann::json cuda = measured_on("cuda");
  EXPECT_EQ(cuda["context"]["device"], "cuda");
  ASSERT_EQ(cuda["benchmarks"].size(), 10U);
  for (std::size_t i = 0; i < 10; ++i) {
    for (const char* const key : {"name", "lookups", "unique_rows", "floor_bytes", "label"}) {
      EXPECT_EQ(cuda["benchmarks"][i][key], cpu["benchmarks"][i][key]) << key;
    }
    EXPECT_GT(cuda["benchmarks"][i]["p50_seconds"], 0.0);
  }
}

TEST(CudaBench, prints_the_tuning_choices) {
  const program_result run = run_program({"bench", "--tuning"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, ::testing::ContainsRegex("cuda +pool.longest_bag +512  "));
}

}  // namespace
}  // namespace warpbag::cli
