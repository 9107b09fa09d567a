// SPDX-License-Identifier: Apache-2.0
// `warpbag train` end to end on the generator and on small files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "cli/program.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag::cli {
namespace {

using ::testing::HasSubstr;

/// A run of 2 epochs of 36 steps.
std::vector<std::string> small_run(const std::string& folder,
                                   const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {
      "train", "--generate", "4000", "--users",      "50",  "--items", "40",           "--dim",
      "4",     "--epochs",   "2",    "--batch-size", "100", "--json",  "--checkpoint", folder};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// The same run, ended after so many steps.
std::vector<std::string> up_to(std::vector<std::string> run, const std::string& steps) {
  const auto epochs = std::find(run.begin(), run.end(), "--epochs");
  *epochs = "--steps";
  *(epochs + 1) = steps;
  return run;
}

std::string checkpoint_in(const std::string& folder) {
  return read_file(folder + "/checkpoint.safetensors");
}

constexpr const char* ratings =
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t10\t5\t100\n1\t11\t1\t101\n2\t10\t4\t102\n2\t12\t2\t103\n3\t11\t5\t104\n3\t12\t1\t105\n"
    "1\t12\t2\t106\n2\t11\t5\t107\n3\t10\t4\t108\n4\t10\t1\t109\n4\t11\t4\t110\n4\t12\t5\t111\n";

TEST(Train, ends_with_a_table_of_results) {
  const scratch_folder scratch;
  const program_result run = run_program(
      {"train", "--generate", "2000", "--epochs", "1", "--checkpoint", scratch / "run"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* const row : {"train loss", "validation loss", "validation AUC",
                                "best AUC possible", "samples/s", "checkpoint"}) {
    EXPECT_THAT(run.out, HasSubstr(row));
  }
  EXPECT_THAT(run.out, HasSubstr(scratch / "run/checkpoint.safetensors"));
  EXPECT_THAT(run.err, HasSubstr("epoch 1"));
  EXPECT_EQ(run.err.find('\033'), std::string::npos) << "escape codes outside a terminal";
}

TEST(Train, tells_machines_in_json_lines) {
  const scratch_folder scratch;
  const program_result run = run_program(small_run(scratch / "run"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.err, "");
  const auto events = run.events();
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0]["event"], "data");
  EXPECT_EQ(events[0]["train"], 3600);
  EXPECT_EQ(events[0]["tables"]["item"], 40);
  EXPECT_EQ(events[1]["event"], "epoch");
  EXPECT_LT(events[2]["train_loss"], events[1]["train_loss"]);
  EXPECT_EQ(events[3]["event"], "result");
  EXPECT_EQ(events[3]["steps"], 72);
  EXPECT_GT(events[3]["validation_auc"], 0.5);
}

TEST(Train, quiet_prints_the_result_only) {
  const scratch_folder scratch;
  const program_result run = run_program(small_run(scratch / "run", {"--quiet"}));
  EXPECT_EQ(run.events().size(), 1U) << run.out;
}

TEST(Train, has_the_same_checkpoint_bytes_on_any_number_of_threads) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(small_run(scratch / "one", {"--threads", "1"})).exit_code, 0);
  for (const char* const threads : {"2", "3"}) {
    ASSERT_EQ(run_program(small_run(scratch / threads, {"--threads", threads})).exit_code, 0);
    EXPECT_TRUE(checkpoint_in(scratch / "one") == checkpoint_in(scratch / threads)) << threads;
  }
}

TEST(Train, resumes_with_the_bytes_of_an_uninterrupted_run) {
  const scratch_folder scratch;
  for (const char* const optimizer : {"sgd", "adagrad", "rowwise_adagrad", "adam", "adamw",
                                      "partial_rowwise_adam", "lamb", "ftrl"}) {
    const std::string whole = scratch / (std::string(optimizer) + "-whole");
    const std::string parts = scratch / (std::string(optimizer) + "-parts");
    const std::vector<std::string> more = {"--optimizer", optimizer, "--lr", "0.02"};
    ASSERT_EQ(run_program(small_run(whole, more)).exit_code, 0) << optimizer;
    // The same run in three pieces; the second ends in the middle of an epoch.
    std::vector<std::string> piece = small_run(parts, more);
    for (const char* const steps : {"7", "50", "72"}) {
      const program_result run = run_program(up_to(piece, steps));
      ASSERT_EQ(run.exit_code, 0) << run.err;
      if (piece.back() != "--resume") piece.push_back("--resume");
    }
    EXPECT_TRUE(checkpoint_in(whole) == checkpoint_in(parts)) << optimizer;
  }
}

TEST(Train, finishes_the_step_and_saves_on_sigint_and_goes_on_from_there) {
  const scratch_folder scratch;
  bool sent = false;
  const program_result stopped =
      run_program(up_to(small_run(scratch / "parts", {"--log-every", "1"}), "1000000000"),
                  [&](int pid, std::string_view line) {
                    if (sent || nlohmann::json::parse(line).value("step", 0) < 5) return;
                    sent = true;
                    ::kill(pid, SIGINT);
                  });
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  const nlohmann::json result = stopped.last_event();
  EXPECT_EQ(result["interrupted"], true);
  const int steps = result["steps"];
  EXPECT_GE(steps, 5);

  const std::string later = std::to_string(steps + 20);
  const program_result resumed =
      run_program(up_to(small_run(scratch / "parts", {"--resume"}), later));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  ASSERT_EQ(run_program(up_to(small_run(scratch / "whole"), later)).exit_code, 0);
  EXPECT_TRUE(checkpoint_in(scratch / "whole") == checkpoint_in(scratch / "parts"));
}

TEST(Train, goes_on_from_the_last_save_after_a_kill) {
  const scratch_folder scratch;
  // Step 25 is told before the next save, at step 30, so the last one is that of step 20 or later.
  const program_result killed = run_program(
      up_to(small_run(scratch / "parts", {"--log-every", "1", "--save-every", "10"}), "1000000000"),
      [](int pid, std::string_view line) {
        if (nlohmann::json::parse(line).value("step", 0) == 25) ::kill(pid, SIGKILL);
      });
  EXPECT_EQ(killed.exit_code, -SIGKILL);
  const program_result saved = run_program({"inspect", scratch / "parts", "--json"});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const int step = saved.last_event()["progress"]["step"];
  EXPECT_GE(step, 20);
  EXPECT_EQ(step % 10, 0);

  const std::string later = std::to_string(step + 15);
  ASSERT_EQ(run_program(up_to(small_run(scratch / "parts", {"--resume"}), later)).exit_code, 0);
  ASSERT_EQ(run_program(up_to(small_run(scratch / "whole"), later)).exit_code, 0);
  EXPECT_TRUE(checkpoint_in(scratch / "whole") == checkpoint_in(scratch / "parts"));
}

TEST(Train, refuses_to_resume_another_run) {
  const scratch_folder scratch;
  ASSERT_EQ(run_program(small_run(scratch / "run")).exit_code, 0);
  const std::string before = checkpoint_in(scratch / "run");
  const program_result lr = run_program(small_run(scratch / "run", {"--resume", "--lr", "0.5"}));
  EXPECT_EQ(lr.exit_code, 2);
  EXPECT_THAT(lr.err, HasSubstr("learning_rate"));
  const program_result seed = run_program(small_run(scratch / "run", {"--resume", "--seed", "9"}));
  EXPECT_EQ(seed.exit_code, 2);
  EXPECT_THAT(seed.err, HasSubstr("data"));
  const program_result fresh = run_program(small_run(scratch / "run"));
  EXPECT_EQ(fresh.exit_code, 2) << "an old checkpoint must not be overwritten";
  EXPECT_TRUE(checkpoint_in(scratch / "run") == before);
}

TEST(Train, trains_every_row_type) {
  const scratch_folder scratch;
  for (const char* const type : {"f32", "f16", "bf16"}) {
    const program_result run =
        run_program(small_run(scratch / type, {"--dtype", type, "--stochastic-rounding"}));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_LT(run.last_event()["train_loss"], 0.68) << type;
  }
}

TEST(Train, reads_a_file_and_reports_bad_rows) {
  const scratch_folder scratch;
  write_file(scratch / "good.inter", ratings);
  EXPECT_EQ(run_program({"train", "--data", scratch / "good.inter", "--epochs", "1"}).exit_code, 0);
  write_file(scratch / "bad.inter", std::string(ratings) + "5\t10\tmany\t112\n");
  const program_result strict = run_program({"train", "--data", scratch / "bad.inter"});
  EXPECT_EQ(strict.exit_code, 3);
  EXPECT_THAT(strict.err, HasSubstr("bad.inter"));
  EXPECT_THAT(strict.err, HasSubstr("14"));
  const program_result lenient =
      run_program({"train", "--data", scratch / "bad.inter", "--on-bad-row", "skip", "--json"});
  EXPECT_EQ(lenient.exit_code, 0) << lenient.err;
  EXPECT_EQ(lenient.events().front()["skipped_rows"], 1);
}

TEST(Train, treats_ids_beyond_max_rows_as_asked) {
  const scratch_folder scratch;
  const program_result strict = run_program(small_run(scratch / "a", {"--max-rows", "20"}));
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_THAT(strict.err, HasSubstr("user"));
  for (const char* const policy : {"skip", "zero"}) {
    const program_result run =
        run_program(small_run(scratch / policy, {"--max-rows", "20", "--bad-ids", policy}));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_GT(run.last_event()["bad_ids"], 0) << policy;
  }
  EXPECT_FALSE(checkpoint_in(scratch / "skip") == checkpoint_in(scratch / "zero"));
}

TEST(Train, saves_the_first_weights_and_dumps_batches) {
  const scratch_folder scratch;
  const program_result run = run_program(
      {"train", "--generate", "500", "--steps", "0", "--checkpoint", scratch / "run", "--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(run.last_event()["train_loss"].is_null());

  ASSERT_EQ(run_program({"train", "--generate", "500", "--steps", "3", "--batch-size", "64",
                         "--quiet", "--dump-batches", scratch / "batches"})
                .exit_code,
            0);
  const safetensors_reader batches(scratch / "batches");
  ASSERT_NE(batches.find("train.2.history.ids"), nullptr);
  EXPECT_EQ(batches.find("train.3.labels"), nullptr);
  EXPECT_EQ(batches.find("train.0.labels")->shape, std::vector<std::uint64_t>{64});
  EXPECT_EQ(batches.find("train.0.user.offsets")->shape, std::vector<std::uint64_t>{65});
  EXPECT_EQ(batches.find("validation.0.labels")->shape, std::vector<std::uint64_t>{50});
}

TEST(Train, stops_when_the_loss_is_not_finite) {
  const scratch_folder scratch;
  const program_result run =
      run_program(small_run(scratch / "run", {"--optimizer", "sgd", "--lr", "1e30"}));
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("not finite"));
}

}  // namespace
}  // namespace warpbag::cli
