// SPDX-License-Identifier: Apache-2.0
// What only in-process ranks have: faults from a seed, counts of traffic, threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>

#include "transport/worlds.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using testing::outcome;
using testing::run_world;

/// Every rank sends one int to every rank, itself too; what it got, in order.
std::vector<int> exchange_ints(transport& ranks, int value) {
  std::vector<int> sent(static_cast<std::size_t>(ranks.size()));
  std::vector<int> got(sent.size(), -1);
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (int r = 0; r < ranks.size(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    sent[i] = value * 100 + r;
    sends.push_back({r, &sent[i], sizeof(int)});
    receives.push_back({r, &got[i], sizeof(int)});
  }
  ranks.all_to_all_v(sends, receives);
  return got;
}

void expect_ints(transport& ranks, int round) {
  const std::vector<int> got = exchange_ints(ranks, ranks.rank() + 10 * round);
  for (int r = 0; r < ranks.size(); ++r) {
    EXPECT_EQ(got[static_cast<std::size_t>(r)], (r + 10 * round) * 100 + ranks.rank());
  }
}

auto same_failure(outcome::kind how, int rank, const std::string& words) {
  return Each(AllOf(Field(&outcome::how, how), Field(&outcome::rank, rank),
                    Field(&outcome::words, HasSubstr(words))));
}

TEST(InProcess, counts_messages_and_bytes_of_links_and_not_of_ranks_to_themselves) {
  in_process_world world(3);
  const auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
    const auto half = ranks->split(ranks->rank() / 2);
    expect_ints(*ranks, 0);
    if (ranks->rank() < 2) expect_ints(*half, 1);
  });
  EXPECT_THAT(outcomes, Each(outcome{}));
  EXPECT_EQ(world.traffic(0, 0).messages, 0);
  EXPECT_EQ(world.traffic(0, 1).messages, 2);
  EXPECT_EQ(world.traffic(1, 0).bytes, 8);
  EXPECT_EQ(world.traffic(2, 0).bytes, 4);
  EXPECT_EQ(world.total_traffic().messages, 8);
  EXPECT_EQ(world.total_traffic().bytes, 32);
  world.reset_traffic();
  EXPECT_EQ(world.total_traffic().bytes, 0);
  EXPECT_THROW(world.traffic(0, 3), invalid_argument);
}

TEST(InProcess, delayed_and_reordered_messages_bring_the_same_bytes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    in_process_world world(
        4, {.seed = seed, .delay_chance = 0.5, .max_delay = 200us, .reorder = seed % 2 == 0});
    const auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
      for (int round = 0; round < 5; ++round) expect_ints(*ranks, round);
    });
    EXPECT_THAT(outcomes, Each(outcome{}));
  }
}

TEST(InProcess, a_message_later_than_the_deadline_is_a_lost_rank) {
  in_process_world world(3, {.delay_chance = 1.0, .max_delay = 60s});
  const auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
    ranks->set_deadline(30ms);
    exchange_ints(*ranks, 0);
  });
  EXPECT_THAT(outcomes, Each(outcomes[0]));
  EXPECT_EQ(outcomes[0].how, outcome::kind::lost);
}

TEST(InProcess, a_kill_is_told_to_every_rank_in_every_group) {
  for (std::int64_t call = 0; call < 4; ++call) {
    SCOPED_TRACE(call);
    in_process_world world(4, {.killed_rank = 3, .killed_at_call = call});
    const auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
      const auto half = ranks->split(0);
      expect_ints(*half, 0);
      ranks->barrier();
      for (int round = 0; round < 3; ++round) expect_ints(*half, round);
    });
    EXPECT_THAT(outcomes, same_failure(outcome::kind::lost, 3, "rank 3 was killed"));
  }
}

TEST(InProcess, a_silent_kill_is_found_by_the_deadline) {
  in_process_world world(3, {.killed_rank = 1, .killed_at_call = 2, .silent_kill = true});
  auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
    ranks->set_deadline(40ms);
    const auto other = ranks->split(0);
    for (int round = 0; round < 5; ++round) ranks->barrier();
  });
  EXPECT_THAT(outcomes[1].words, HasSubstr("rank 1 was killed"));
  outcomes.erase(outcomes.begin() + 1);
  EXPECT_THAT(outcomes, Each(outcomes[0]));
  EXPECT_THAT(outcomes, same_failure(outcome::kind::lost, 1, "rank 1 did not come to barrier"));
}

TEST(InProcess, a_corrupted_size_is_a_mismatch_on_every_rank) {
  in_process_world world(3, {.corrupted_rank = 2, .corrupted_at_call = 1});
  const auto outcomes = run_world(world, [](std::unique_ptr<transport> ranks) {
    for (int round = 0; round < 3; ++round) expect_ints(*ranks, round);
  });
  EXPECT_THAT(outcomes, Each(outcomes[0]));
  EXPECT_THAT(outcomes, same_failure(outcome::kind::mismatch, 2,
                                     "rank 2 sends 5 bytes to rank 0, which expects 4 bytes"));
}

TEST(InProcess, a_barrier_returns_on_all_live_ranks_or_on_none) {
  for (int run = 0; run < 200; ++run) {
    in_process_world world(4);
    std::vector<int> passed(4);
    run_world(world, [&](std::unique_ptr<transport> ranks) {
      for (int round = 0; round < 50; ++round) {
        if (ranks->rank() == 2 && round == run % 50) ranks->abort(rank_lost("enough", 2));
        ranks->barrier();
        ++passed[static_cast<std::size_t>(ranks->rank())];
      }
    });
    EXPECT_THAT(passed, Each(run % 50));
  }
}

TEST(InProcess, ten_thousand_worlds_are_cheap) {
  int done = 0;
  for (int i = 0; i < 10'000; ++i) {
    in_process_world world(2);
    const auto first = world.connect(0);
    const auto second = world.connect(1);
    done += first->size() + second->rank();
  }
  EXPECT_EQ(done, 30'000);
}

TEST(InProcess, run_rethrows_the_exception_of_the_lowest_rank_that_threw) {
  std::atomic<int> came = 0;
  in_process_world::run(3, [&](transport& ranks) {
    ranks.barrier();
    ++came;
  });
  EXPECT_EQ(came, 3);
  const auto throwing = [](transport& ranks) {
    if (ranks.rank() > 0) throw io_error("rank " + std::to_string(ranks.rank()));
  };
  EXPECT_THAT([&] { in_process_world::run(3, throwing); },
              ::testing::ThrowsMessage<io_error>("rank 1"));
}

TEST(InProcess, arguments_that_cannot_be_right_are_refused) {
  EXPECT_THROW(in_process_world(0), invalid_argument);
  EXPECT_THROW(in_process_world(2, {.delay_chance = 1.5}), invalid_argument);
  EXPECT_THROW(in_process_world(2, {.killed_rank = 2}), invalid_argument);
  in_process_world world(2);
  EXPECT_THROW(world.connect(2), invalid_argument);
}

}  // namespace
}  // namespace warpbag
