// SPDX-License-Identifier: Apache-2.0
// MovieLens-100k, when it is there: scripts/fetch_movielens fetches it.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

std::string movielens_file() {
  const char* const folder = std::getenv("WARPBAG_MOVIELENS");
  return std::string(folder == nullptr ? WARPBAG_MOVIELENS : folder) + "/ml-100k.inter";
}

TEST(MovieLens, trains_to_the_auc_of_a_factorization_machine) {
  const std::string file = movielens_file();
  if (!std::filesystem::exists(file)) {
    GTEST_SKIP() << file << " is not there; scripts/fetch_movielens fetches it";
  }
  const program_result run = run_program({"train", "--data", file, "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json result = run.last_event();
  std::cout << result.dump() << '\n';
  EXPECT_GT(result["validation_auc"], 0.78);
  EXPECT_LT(result["validation_loss"], 0.57);
}

TEST(MovieLens, trains_over_ranks_to_the_bytes_of_one_device) {
  const std::string file = movielens_file();
  if (!std::filesystem::exists(file)) {
    GTEST_SKIP() << file << " is not there; scripts/fetch_movielens fetches it";
  }
  const scratch_folder scratch;
  const auto train = [&](const std::string& folder, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train",  "--data",      file, "--steps",      "100",
                                          "--json", "--log-every", "20", "--checkpoint", folder};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  };
  const program_result one = train(scratch / "one", {});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const program_result ranks = train(scratch / "ranks", {"--ranks", "3"});
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  EXPECT_EQ(told_numbers(one), told_numbers(ranks));
  for (const char* const kept : {"/checkpoint.safetensors", "/vocabulary.safetensors"}) {
    EXPECT_TRUE(read_file(scratch / "one" + kept) == read_file(scratch / "ranks" + kept)) << kept;
  }
}

}  // namespace
}  // namespace warpbag::cli
