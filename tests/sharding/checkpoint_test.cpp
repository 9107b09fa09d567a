// SPDX-License-Identifier: Apache-2.0
// Checkpoints of sharded collections are those of one device, byte for byte, and know neither plans
// nor ranks.

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include "io/faulty_files.hpp"
#include "sharding/sharded_case.hpp"
#include "support/configuration.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/checkpoint.hpp"

namespace warpbag::support {
namespace {

using warpbag::testing::bytes_of;
using warpbag::testing::temporary_folder;

/// The case with a plan for other ranks, and its batches cut anew.
sharded_case for_ranks(const sharded_case& drawn, int num_ranks) {
  sharded_case other = drawn;
  const sharded_case plans = random_case(drawn.seed, num_ranks);
  other.num_ranks = num_ranks;
  other.plan = plans.plan;
  for (auto& of_step : other.sizes) {
    for (auto& sizes : of_step) {
      std::int64_t left = 0;
      for (const std::int64_t size : sizes) left += size;
      sizes.assign(static_cast<std::size_t>(num_ranks), left / num_ranks);
      sizes.back() += left % num_ranks;
    }
  }
  return other;
}

/// Steps [first, last), from a checkpoint unless it is empty, to a checkpoint.
void run_part(const sharded_case& drawn, std::int64_t first, std::int64_t last,
              const std::filesystem::path& from, const std::filesystem::path& to) {
  in_process_world world(drawn.num_ranks);
  for_each_rank(drawn.num_ranks, [&](int rank) {
    const auto device = cpu_backend(1).make_device();
    rank_run run(*device, drawn, world.connect(rank));
    if (!from.empty()) {
      EXPECT_EQ(load_checkpoint(run.collection(), from).at("key"), "value");
    }
    run.run(first, last, false);
    save_checkpoint(run.collection(), to, {{"key", "value"}});
  });
}

TEST(ShardedCheckpoint, goes_on_with_other_ranks_and_plans_and_is_the_file_of_one_device) {
  const temporary_folder folder;
  for (const std::uint64_t seed : seeds_of_test(500, 12)) {
    const sharded_case drawn = random_case(seed, 4);
    const auto device = cpu_backend(1).make_device();
    embedding_bag_collection whole(drawn.tables, drawn.features, device->get_resources(),
                                   drawn.options);
    train_on_one_device(*device, drawn, whole);
    save_checkpoint(whole, folder.path() / "whole", {{"key", "value"}});
    const std::string expected = bytes_of(folder.path() / "whole");

    run_part(drawn, 0, 3, {}, folder.path() / "four");
    for (const int ranks : {3, 1}) {
      run_part(for_ranks(drawn, ranks), 3, drawn.num_steps(), folder.path() / "four",
               folder.path() / "end");
      ASSERT_TRUE(expected == bytes_of(folder.path() / "end"))
          << "resumed with " << ranks << ": " << drawn;
    }
    // And a file of one device opens on four ranks.
    run_part(drawn, 0, 0, folder.path() / "whole", folder.path() / "end");
    ASSERT_TRUE(expected == bytes_of(folder.path() / "end")) << drawn;
  }
}

TEST(ShardedCheckpoint, fails_on_every_rank_when_one_disk_fails_and_leaves_the_old_file) {
  const temporary_folder folder;
  const std::filesystem::path file = folder.path() / "file";
  const sharded_case drawn = random_case(77, 3);
  run_part(drawn, 0, 1, {}, file);
  const std::string before = bytes_of(file);
  int failures = 0;
  for (int failing_call = 0; failing_call < 40; ++failing_call) {
    in_process_world world(3);
    std::mutex counting;
    int thrown = 0;
    for_each_rank(3, [&](int rank) {
      const auto device = cpu_backend(1).make_device();
      rank_run run(*device, drawn, world.connect(rank));
      warpbag::testing::faulty_files files(rank == failing_call % 2 ? failing_call / 2 : -1,
                                           ENOSPC);
      try {
        save_checkpoint(run.collection(), file, {{"key", "value"}}, files);
      } catch (const error&) {
        const std::lock_guard lock(counting);
        ++thrown;
      }
    });
    EXPECT_TRUE(thrown == 0 || thrown == 3) << thrown << " ranks threw at call " << failing_call;
    if (thrown == 0) continue;
    ++failures;
    std::size_t files_left = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      ++files_left;
    }
    EXPECT_EQ(files_left, 1U) << "at call " << failing_call;
  }
  EXPECT_GT(failures, 10);
}

TEST(ShardedCheckpoint, refuses_on_every_rank_a_file_that_one_rank_cannot_take) {
  const temporary_folder folder;
  const std::filesystem::path file = folder.path() / "file";
  const sharded_case drawn = random_case(78, 2);
  run_part(drawn, 0, 1, {}, file);
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-200, std::ios::end);  // within a tensor or its checksums
    stream.put('\x5a').put('\x5a').put('\x5a');
  }
  in_process_world world(2);
  std::mutex counting;
  int thrown = 0;
  for_each_rank(2, [&](int rank) {
    const auto device = cpu_backend(1).make_device();
    rank_run run(*device, drawn, world.connect(rank));
    try {
      load_checkpoint(run.collection(), file);
    } catch (const error&) {
      const std::lock_guard lock(counting);
      ++thrown;
    }
  });
  EXPECT_EQ(thrown, 2);
}

}  // namespace
}  // namespace warpbag::support
