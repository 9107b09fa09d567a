// SPDX-License-Identifier: Apache-2.0
// What NCCL ranks in one process meet when something goes wrong.
#include <gmock/gmock.h>

#include <chrono>
#include <latch>
#include <thread>

#include "transport/gpu_ranks.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using testing::gpu;
using testing::gpu_array;
using ::testing::HasSubstr;
using testing::outcome;
using testing::outcome_of;
using testing::run_gpus;

constexpr int injected_error = 3;  // ncclInternalError
const auto lost = Field(&outcome::how, outcome::kind::lost);

class NcclFailures : public ::testing::Test {
 protected:
  static constexpr int size = 3;
  static constexpr std::chrono::milliseconds deadline = 700ms;

  void SetUp() override {
    if (testing::device_count() < size) GTEST_SKIP() << "three GPUs are needed";
    if (CUDASIM_FIND(cudasim_nccl_fail) == nullptr) GTEST_SKIP() << "no simulator here";
  }

  /// How `body` ended on each rank of a new transport. Every rank is done soon after the deadline,
  /// and then gets the same again from every call.
  std::vector<outcome> run(const std::function<void(transport&)>& body) {
    const testing::provoked_failures forgiven;
    const nccl_id id = make_nccl_id();
    return run_gpus(size, [&](int rank) {
      const gpu here(rank);
      const auto ranks = make_nccl_transport(here, rank, size, id, 20s);
      ranks->barrier();
      ranks->set_deadline(deadline);
      const auto start = std::chrono::steady_clock::now();
      const outcome first = outcome_of([&] { body(*ranks); });
      EXPECT_LT(std::chrono::steady_clock::now() - start, deadline + 3s);
      if (first.how == outcome::kind::lost || first.how == outcome::kind::mismatch) {
        EXPECT_EQ(outcome_of([&] { ranks->barrier(); }), first);
        EXPECT_EQ(outcome_of([&] { ranks->all_to_all_v({}, {}); }), first);
        EXPECT_EQ(outcome_of([&] { ranks->split(0); }), first);
        EXPECT_EQ(outcome_of([&] { ranks->wait(); }), first);
      }
      if (first.how != outcome::kind::returned) body_again(first);
    });
  }

 private:
  [[noreturn]] static void body_again(const outcome& first) {
    if (first.how == outcome::kind::mismatch) throw rank_mismatch(first.words, first.rank);
    if (first.how == outcome::kind::lost) throw rank_lost(first.words, first.rank);
    throw error(first.words);
  }
};

void ring(transport& ranks) {
  const gpu_array<std::int64_t> data(ranks.stream(), {1, 2, 3});
  const int next = (ranks.rank() + 1) % ranks.size();
  const int previous = (ranks.rank() + ranks.size() - 1) % ranks.size();
  ranks.all_to_all_v(std::vector<send_piece>{{next, data.data(), 8}},
                     std::vector<receive_piece>{{previous, data.data() + 1, 8}});
  ranks.wait();
}

TEST_F(NcclFailures, an_operation_that_fails_on_one_rank_is_lost_on_all) {
  CUDASIM_FIND(cudasim_nccl_fail)(1, 0, 0, 0);
  const auto outcomes = run([](transport& ranks) {
    if (ranks.rank() == 1) CUDASIM_FIND(cudasim_nccl_fail)(1, 1, injected_error, 0);
    ring(ranks);
    ranks.barrier();
  });
  EXPECT_THAT(outcomes, Each(lost));
  EXPECT_EQ(outcomes[1].rank, 1);
  EXPECT_THAT(outcomes[1].words, HasSubstr("NCCL on rank 1"));
}

TEST_F(NcclFailures, a_rank_that_falls_silent_is_found_by_the_deadline) {
  const auto outcomes = run([](transport& ranks) {
    if (ranks.rank() == 2) CUDASIM_FIND(cudasim_nccl_kill)(2, 1);
    ring(ranks);
    ranks.barrier();
  });
  CUDASIM_FIND(cudasim_nccl_kill)(2, 0);
  EXPECT_THAT(outcomes, Each(lost));
}

TEST_F(NcclFailures, a_rank_that_makes_no_call_is_found_by_the_deadline) {
  const auto outcomes = run([](transport& ranks) {
    if (ranks.rank() != 0) ranks.barrier();
    if (ranks.rank() == 0) throw error("did not come");
  });
  EXPECT_EQ(outcomes[0].how, outcome::kind::other);
  EXPECT_THAT(outcomes[1], lost);
  EXPECT_THAT(outcomes[2], lost);
}

TEST_F(NcclFailures, a_rank_that_does_not_split_is_found_by_the_deadline) {
  const auto outcomes = run([](transport& ranks) {
    if (ranks.rank() == 0) throw error("did not come");
    ranks.split(0);
  });
  EXPECT_THAT(outcomes[1], lost);
  EXPECT_THAT(outcomes[2], lost);
}

TEST_F(NcclFailures, a_piece_to_itself_of_another_size_is_a_mismatch) {
  const auto outcomes = run([](transport& ranks) {
    const gpu_array<std::int64_t> data(ranks.stream(), {1, 2});
    const int me = ranks.rank();
    if (me == 1) {
      ranks.all_to_all_v(std::vector<send_piece>{{me, data.data(), 8}},
                         std::vector<receive_piece>{{me, data.data() + 1, 4}});
    }
    ranks.barrier();
  });
  EXPECT_EQ(outcomes[1].how, outcome::kind::mismatch);
  EXPECT_THAT(outcomes[0], lost);
  EXPECT_THAT(outcomes[2], lost);
}

TEST_F(NcclFailures, a_cuda_call_that_fails_on_one_rank_is_lost_on_all) {
  std::latch others_wait(size - 1);
  const auto outcomes = run([&](transport& ranks) {
    const gpu_array<std::int64_t> data(ranks.stream(), {1, 2});
    const int me = ranks.rank();
    if (me == 1) {
      // The device of another thread's calls is not told apart: the others do nothing meanwhile.
      others_wait.wait();
      CUDASIM_FIND(cudasim_fail_call)(2, cudaErrorUnknown, 0);  // after cudaGetDevice
      ranks.all_to_all_v(std::vector<send_piece>{{me, data.data(), 8}},
                         std::vector<receive_piece>{{me, data.data() + 1, 8}});
    } else {
      others_wait.count_down();
      std::this_thread::sleep_for(200ms);
    }
    ranks.barrier();
  });
  EXPECT_THAT(outcomes, Each(lost));
  EXPECT_EQ(outcomes[1].rank, 1);
  EXPECT_THAT(outcomes[1].words, HasSubstr("CUDA failed on rank 1"));
}

TEST_F(NcclFailures, abort_ends_the_wait_of_its_rank_with_its_words_and_the_others) {
  const auto outcomes = run([](transport& ranks) {
    ranks.set_deadline(20s);
    if (ranks.rank() == 2) std::this_thread::sleep_for(100ms);
    std::jthread aborts;
    if (ranks.rank() == 0) {
      aborts = std::jthread([&] {
        std::this_thread::sleep_for(50ms);
        ranks.abort(rank_mismatch("step 3 is not step 4", 2));
      });
    }
    if (ranks.rank() != 2) ranks.barrier();
    if (ranks.rank() == 2) ranks.all_to_all_v({}, {}), ranks.barrier();
  });
  EXPECT_EQ(outcomes[0], (outcome{outcome::kind::mismatch, 2, "step 3 is not step 4"}));
  EXPECT_THAT(outcomes[1], lost);
  EXPECT_THAT(outcomes[2], lost);
}

TEST_F(NcclFailures, a_rank_that_never_joins_is_lost_by_the_deadline) {
  const testing::provoked_failures forgiven;
  const nccl_id id = make_nccl_id();
  const auto start = std::chrono::steady_clock::now();
  const auto outcomes = run_gpus(2, [&](int rank) {
    const gpu here(rank);
    make_nccl_transport(here, rank, 3, id, 500ms);
  });
  EXPECT_THAT(outcomes, Each(lost));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
}

TEST_F(NcclFailures, destruction_with_work_that_never_ends_waits_for_the_deadline_at_most) {
  const testing::provoked_failures forgiven;
  const nccl_id id = make_nccl_id();
  const auto outcomes = run_gpus(2, [&](int rank) {
    const gpu here(rank);
    auto ranks = make_nccl_transport(here, rank, 2, id, 20s);
    ranks->barrier();
    ranks->set_deadline(300ms);
    const gpu_array<std::int64_t> data(here.stream(), {1});
    if (rank == 0) ranks->broadcast(data.data(), 8, 0);
    const auto start = std::chrono::steady_clock::now();
    ranks.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  });
  EXPECT_THAT(outcomes, Each(Field(&outcome::how, outcome::kind::returned)));
}

}  // namespace
}  // namespace warpbag
