// SPDX-License-Identifier: Apache-2.0
#include "cpu/thread_pool.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace warpbag::cpu {
namespace {

class ThreadPool : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPool, does_every_index_once_when_there_are_more_or_fewer_than_threads) {
  thread_pool pool(GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 5, 1000}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
    pool.for_each(count, [&](std::int64_t index, int thread) {
      EXPECT_GE(thread, 0);
      EXPECT_LT(thread, pool.num_threads());
      done[static_cast<std::size_t>(index)] += 1;
    });
    for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
  }
}

TEST_P(ThreadPool, makes_the_writes_of_a_loop_visible_to_the_caller_and_to_the_next_loop) {
  thread_pool pool(GetParam());
  std::vector<std::int64_t> values(257, 0);
  const auto count = static_cast<std::int64_t>(values.size());
  for (std::int64_t round = 0; round < 200; ++round) {
    // Another index than in the round before, so most likely another thread.
    pool.for_each(count, [&](std::int64_t index, int) {
      values[static_cast<std::size_t>((index + round) % count)] += 1;
    });
  }
  for (const std::int64_t value : values) EXPECT_EQ(value, 200);
}

TEST_P(ThreadPool, throws_what_a_body_throws_and_works_on_when_a_body_failed) {
  thread_pool pool(GetParam());
  for (int round = 0; round < 20; ++round) {
    try {
      pool.for_each(100, [](std::int64_t index, int) {
        if (index == 7) throw std::runtime_error("index " + std::to_string(index));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "index 7");
    }
    std::atomic<int> done = 0;
    pool.for_each(100, [&](std::int64_t, int) { done += 1; });
    EXPECT_EQ(done, 100);
  }
}

TEST_P(ThreadPool, gives_each_thread_scratch_of_its_own_while_a_loop_runs) {
  thread_pool pool(GetParam());
  // Unsynchronised on purpose: a thread sanitizer sees it if two threads share a number.
  std::vector<std::int64_t> sum_of_thread(static_cast<std::size_t>(pool.num_threads()), 0);
  pool.for_each(10000, [&](std::int64_t index, int thread) {
    sum_of_thread[static_cast<std::size_t>(thread)] += index;
  });
  std::int64_t total = 0;
  for (const std::int64_t sum : sum_of_thread) total += sum;
  EXPECT_EQ(total, 9999 * 10000 / 2);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPool, ::testing::Values(1, 2, 3, 8));

TEST(ThreadPoolSize, is_what_the_process_may_run_on_when_no_number_is_given) {
  EXPECT_EQ(thread_pool(0).num_threads(), available_threads());
  EXPECT_GE(available_threads(), 1);
}

}  // namespace
}  // namespace warpbag::cpu
