// SPDX-License-Identifier: Apache-2.0
// `warpbag eval`, on the data of the run and on other files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> tiny_run(const std::string& folder) {
  return {"train", "--generate", "1000", "--epochs", "1", "--quiet", "--checkpoint", folder};
}

constexpr const char* header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
constexpr const char* rows[] = {"1\t10\t5\t100\n", "1\t11\t1\t101\n", "2\t10\t4\t102\n",
                                "2\t12\t2\t103\n", "3\t11\t5\t104\n", "3\t12\t1\t105\n"};

std::string ratings() {
  std::string text = header;
  for (const char* const row : rows) text += row;
  return text;
}

/// The same ratings from the last to the first, so that every token but one has another id.
std::string ratings_backwards() {
  std::string text = header;
  for (std::size_t i = std::size(rows); i-- > 0;) text += rows[i];
  return text;
}

/// Trains on ratings() and leaves the checkpoint in scratch / "run".
void train_on_ratings(const scratch_folder& scratch) {
  write_file(scratch / "first.inter", ratings());
  const program_result run =
      run_program({"train", "--data", scratch / "first.inter", "--epochs", "8", "--validation", "0",
                   "--quiet", "--checkpoint", scratch / "run"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
}

program_result evaluate(const scratch_folder& scratch, const std::string& file,
                        const std::vector<std::string>& more = {"--json"}) {
  std::vector<std::string> arguments = {"eval", "--checkpoint", scratch / "run", "--data",
                                        scratch / file};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

TEST(Eval, repeats_the_validation_of_the_run) {
  const scratch_folder scratch;
  std::vector<std::string> train = tiny_run(scratch / "run");
  train.push_back("--json");
  const program_result trained = run_program(train);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const program_result evaluated =
      run_program({"eval", "--checkpoint", scratch / "run", "--part", "validation", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const nlohmann::json result = evaluated.last_event();
  EXPECT_EQ(result["samples"], 100);
  EXPECT_EQ(result["loss"], trained.last_event()["validation_loss"]);
  EXPECT_EQ(result["auc"], trained.last_event()["validation_auc"]);

  const program_result all = run_program({"eval", "--checkpoint", scratch / "run"});
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_THAT(all.out, HasSubstr("1,000"));
}

TEST(Eval, refuses_a_file_whose_ids_mean_something_else) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(tiny_run(scratch / "run")).exit_code, 0);
  write_file(scratch / "other.inter",
             "user_id:token\titem_id:token\trating:float\n1\t10\t5\n2\t11\t1\n");
  const program_result run =
      run_program({"eval", "--checkpoint", scratch / "run", "--data", scratch / "other.inter"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("ids"));
}

TEST(Eval, knows_the_tokens_of_another_file) {
  const scratch_folder scratch;
  train_on_ratings(scratch);
  write_file(scratch / "other.inter", ratings_backwards());
  const program_result own = evaluate(scratch, "first.inter");
  const program_result other = evaluate(scratch, "other.inter");
  ASSERT_EQ(own.exit_code, 0) << own.err;
  ASSERT_EQ(other.exit_code, 0) << other.err;
  // The same samples in another order: the sum of the losses may differ in its last bits.
  EXPECT_NEAR(other.last_event()["loss"], own.last_event()["loss"], 1e-12);
  EXPECT_EQ(other.last_event()["auc"], own.last_event()["auc"]);
  EXPECT_EQ(other.last_event()["samples"], 6);
  EXPECT_TRUE(other.last_event()["cold_lookups"].empty());
}

TEST(Eval, drops_tokens_that_were_never_trained_and_counts_them) {
  const scratch_folder scratch;
  train_on_ratings(scratch);
  // User 9 and item 99 are new; item 99 is also in the history of the sample after it.
  write_file(scratch / "cold.inter",
             std::string(header) + "9\t10\t5\t1\n1\t99\t1\t2\n1\t11\t5\t3\n");
  const program_result json = evaluate(scratch, "cold.inter");
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.last_event()["cold_lookups"],
            nlohmann::json({{"user", 1}, {"item", 1}, {"history", 1}}));
  const program_result text = evaluate(scratch, "cold.inter", {});
  EXPECT_THAT(text.out, HasSubstr("cold in history"));

  // What is cold has no part in the score, whatever it is called.
  write_file(scratch / "renamed.inter",
             std::string(header) + "8\t10\t5\t1\n1\t77\t1\t2\n1\t11\t5\t3\n");
  EXPECT_EQ(evaluate(scratch, "renamed.inter").out, json.out);
}

TEST(Eval, takes_renamed_tokens_for_other_data) {
  const scratch_folder scratch;
  train_on_ratings(scratch);
  std::string renamed = ratings();
  renamed.replace(renamed.find("\t12\t"), 4, "\t13\t");
  renamed.replace(renamed.find("\t12\t"), 4, "\t13\t");
  write_file(scratch / "first.inter", renamed);
  const program_result changed = run_program({"eval", "--checkpoint", scratch / "run"});
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.err, HasSubstr("changed"));
  EXPECT_EQ(evaluate(scratch, "first.inter").last_event()["cold_lookups"]["item"], 2);
  const program_result part = evaluate(scratch, "first.inter", {"--part", "train"});
  EXPECT_EQ(part.exit_code, 2);
  const program_result resumed =
      run_program({"train", "--data", scratch / "first.inter", "--epochs", "9", "--validation", "0",
                   "--resume", "--checkpoint", scratch / "run"});
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_THAT(resumed.err, HasSubstr("data"));
}

TEST(Eval, finds_damage_in_the_vocabularies) {
  const scratch_folder scratch;
  train_on_ratings(scratch);
  write_file(scratch / "other.inter", ratings_backwards());
  const std::string file = scratch / "run/vocabulary.safetensors";
  const std::string good = read_file(file);
  for (std::size_t i = 8; i < good.size(); i += 11) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    write_file(file, flipped);
    const program_result run = evaluate(scratch, "other.inter");
    EXPECT_EQ(run.exit_code, 3) << "byte " << i << run.err;
    EXPECT_THAT(run.err, HasSubstr("vocabulary.safetensors")) << "byte " << i;
  }
  write_file(file, good.substr(0, good.size() - 1));
  EXPECT_EQ(run_program({"inspect", scratch / "run"}).exit_code, 3);
}

}  // namespace
}  // namespace warpbag::cli
