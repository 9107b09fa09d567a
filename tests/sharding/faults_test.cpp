// SPDX-License-Identifier: Apache-2.0
// 10,000 runs in which one rank fails somewhere: every live rank gets the typed error at once, and
// its tables are those before the call that failed.

#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "sharding/faulty_run.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

constexpr int runs_of_a_case = 20;
constexpr case_limits tiny = {.max_samples = 4,
                              .max_hotness = 3,
                              .max_rows = 12,
                              .max_dim = 8,
                              .steps = 2,
                              .max_tables = 2,
                              .max_more_features = 1};

/// Ends the program when a run hangs: nothing else would tell its seed.
class watchdog {
 public:
  watchdog() : thread_([this] { watch(); }) {}
  ~watchdog() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void start(const planned_fault& run) {
    const std::lock_guard lock(mutex_);
    run_ = run;
    ++number_;
    changed_.notify_all();
  }

 private:
  void watch() {
    constexpr auto longest = std::chrono::seconds(20);
    std::unique_lock lock(mutex_);
    while (!ended_) {
      const std::int64_t number = number_;
      const bool moved =
          changed_.wait_for(lock, longest, [&] { return ended_ || number_ != number; });
      if (moved || number == 0) continue;
      std::cerr << "a run hangs: " << run_ << std::endl;
      std::abort();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::int64_t number_ = 0;
  planned_fault run_;
  std::thread thread_;
};

fault_kind kind_of(int run, std::uint64_t case_seed) {
  if (run == 0) return fault_kind::none;
  // A silent death costs a deadline: one case in ten has one.
  if (run == 1) return case_seed % 10 == 0 ? fault_kind::silently_killed : fault_kind::killed;
  if (run < 8) return fault_kind::killed;
  if (run < 12) return fault_kind::corrupted;
  constexpr std::array others = {fault_kind::other_call, fault_kind::other_rate,
                                 fault_kind::bad_batch, fault_kind::bad_argument};
  if (run == 19) return fault_kind::other_plan;
  return others[static_cast<std::size_t>(run) % others.size()];
}

TEST(Faults, reach_every_live_rank_and_leave_tables_as_they_were) {
  struct counts {
    int runs = 0;
    int ended = 0;  // by an error
  };
  std::array<counts, num_fault_kinds> made = {};
  watchdog watch;
  for (const std::uint64_t seed : seeds_of_test(50000, 500)) {
    case_limits limits = tiny;
    limits.partial_bags = seed % 4 == 0;
    const sharded_case drawn = random_case(seed, 2 + static_cast<int>(seed % 3), limits);
    const std::vector<rank_outcome> expected = run_with(drawn, {});
    for (const rank_outcome& rank : expected) ASSERT_FALSE(rank.thrown) << drawn;
    for (int run = 0; run < runs_of_a_case; ++run) {
      const planned_fault fault = draw_fault(
          seed * runs_of_a_case + static_cast<std::uint64_t>(run), kind_of(run, seed), drawn);
      watch.start(fault);
      const std::vector<rank_outcome> actual = run_with(drawn, fault);
      ASSERT_EQ("", judge(drawn, fault, expected, actual))
          << "WARPBAG_TEST_SEED=" << seed << ", " << fault << '\n'
          << drawn;
      counts& of_kind = made[static_cast<std::size_t>(fault.kind)];
      ++of_kind.runs;
      if (actual.front().thrown) ++of_kind.ended;
    }
  }
  // Calls are drawn a little beyond the last one, and some calls send nothing to corrupt.
  for (const fault_kind kind : {fault_kind::killed, fault_kind::corrupted}) {
    const counts& of_kind = made[static_cast<std::size_t>(kind)];
    EXPECT_GE(of_kind.ended * 3, of_kind.runs) << static_cast<int>(kind);
  }
}

}  // namespace
}  // namespace warpbag::support
