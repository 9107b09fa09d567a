// SPDX-License-Identifier: Apache-2.0
// NCCL transports in one process, a thread for each rank.
#include <gmock/gmock.h>
#include <nccl.h>

#include <chrono>

#include "transport/collective_checks.hpp"
#include "transport/gpu_ranks.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::check_collectives;
using ::testing::Each;
using ::testing::Field;
using testing::gpu;
using testing::gpu_array;
using ::testing::HasSubstr;
using testing::outcome;
using testing::outcome_of;
using testing::run_gpus;

const auto returned = Field(&outcome::how, outcome::kind::returned);

class NcclTransport : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (testing::device_count() < GetParam()) GTEST_SKIP() << "too few GPUs";
  }
  /// body(rank, its GPU, its transport) in a thread for each rank; none may throw.
  template <typename Body>
  static void on_all_ranks(Body body) {
    const nccl_id id = make_nccl_id();
    const auto outcomes = run_gpus(GetParam(), [&](int rank) {
      const gpu here(rank);
      const auto ranks = make_nccl_transport(here, rank, GetParam(), id, 20s);
      body(rank, here, *ranks);
    });
    EXPECT_THAT(outcomes, Each(returned));
  }
};

TEST_P(NcclTransport, moves_uneven_and_empty_pieces_and_leaves_the_current_device) {
  const nccl_id id = make_nccl_id();
  const auto outcomes = run_gpus(GetParam(), [&](int rank) {
    const gpu here(rank);
    testing::use_device(0);
    const auto ranks = make_nccl_transport(here, rank, GetParam(), id, 20s);
    ranks->barrier();
    int current = -1;
    WARPBAG_CUDA_TRY(cudaGetDevice(&current));
    EXPECT_EQ(current, 0);
    EXPECT_EQ(ranks->rank(), rank);
    EXPECT_EQ(ranks->size(), GetParam());
    EXPECT_EQ(ranks->stream(), here.stream());
    testing::use_device(rank);
    check_collectives(*ranks);
  });
  EXPECT_THAT(outcomes, Each(returned));
}

TEST_P(NcclTransport, splits_by_any_color_and_its_children_work_at_once) {
  on_all_ranks([](int rank, const gpu&, transport& ranks) {
    const auto parity = ranks.split(rank % 2 == 0 ? -7 : 40);
    EXPECT_EQ(parity->rank(), rank / 2);
    EXPECT_EQ(parity->size(), (GetParam() + 1 - rank % 2) / 2);
    check_collectives(*parity);
    check_collectives(ranks);
    const auto alone = parity->split(rank);
    EXPECT_EQ(alone->size(), 1);
    check_collectives(*alone);
  });
}

TEST_P(NcclTransport, runs_operations_of_children_on_other_streams_in_the_order_of_the_calls) {
  on_all_ranks([](int rank, const gpu& here, transport& ranks) {
    const gpu beside(rank);
    const auto child = ranks.split(0, beside.stream());
    EXPECT_EQ(child->stream(), beside.stream());
    const gpu_array<std::int64_t> value(here.stream(), {rank});
    for (int round = 0; round < 2; ++round) {  // no stream waits for the other by itself
      ranks.all_reduce(value.data(), 1, reduce_type::i64, reduce_operation::sum);
      child->all_reduce(value.data(), 1, reduce_type::i64, reduce_operation::max);
    }
    child->wait();
    const std::int64_t expected = GetParam() * (GetParam() * (GetParam() - 1) / 2);
    EXPECT_EQ(value.values(), std::vector<std::int64_t>{expected});
    check_collectives(*child);
  });
}

TEST_P(NcclTransport, can_be_captured_in_a_graph_beside_a_child_on_another_stream) {
  on_all_ranks([](int rank, const gpu& here, transport& ranks) {
    const gpu beside(rank);
    const auto child = ranks.split(0, beside.stream());
    check_collectives(ranks);
    check_collectives(*child);
    const gpu_array<std::int64_t> value(here.stream(), {rank + 1});
    const gpu_array<std::int64_t> other(here.stream(), {rank});
    child->all_reduce(other.data(), 1, reduce_type::i64, reduce_operation::sum);  // under way
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    WARPBAG_CUDA_TRY(cudaStreamBeginCapture(here.stream(), cudaStreamCaptureModeThreadLocal));
    ranks.all_reduce(value.data(), 1, reduce_type::i64, reduce_operation::max);
    WARPBAG_CUDA_TRY(cudaStreamEndCapture(here.stream(), &graph));
    WARPBAG_CUDA_TRY(cudaGraphInstantiate(&executable, graph, 0));
    WARPBAG_CUDA_TRY(cudaGraphLaunch(executable, here.stream()));
    EXPECT_EQ(value.values(), std::vector<std::int64_t>{GetParam()});
    child->wait();
    WARPBAG_CUDA_TRY(cudaGraphExecDestroy(executable));
    WARPBAG_CUDA_TRY(cudaGraphDestroy(graph));
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, NcclTransport, ::testing::Values(1, 2, 4, 8));

class NcclPair : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::device_count() < 2) GTEST_SKIP() << "two GPUs are needed";
  }
};

TEST_F(NcclPair, cuts_large_pieces_and_pairs_them_all_the_same) {
  const nccl_id id = make_nccl_id();
  const std::int64_t large = (std::int64_t{1} << 26) + 12;  // two chunks
  const auto outcomes = run_gpus(2, [&](int rank) {
    const gpu here(rank);
    const auto ranks = make_nccl_transport(here, rank, 2, id, 20s);
    const auto words = static_cast<std::size_t>(large / 4);
    const gpu_array<std::int32_t> out(here.stream(), std::vector<std::int32_t>(words, rank + 5));
    const gpu_array<std::int32_t> in(here.stream(), std::vector<std::int32_t>(words + 1, -1));
    const int peer = 1 - rank;
    ranks->all_to_all_v(
        std::vector<send_piece>{{peer, out.data(), large}, {peer, out.data(), 4}},
        std::vector<receive_piece>{{peer, in.data() + 1, large}, {peer, in.data(), 4}});
    ranks->wait();
    EXPECT_EQ(in.values(), std::vector<std::int32_t>(words + 1, peer + 5));
  });
  EXPECT_THAT(outcomes, Each(returned));
}

TEST_F(NcclPair, comes_from_one_process_from_a_communicator_and_from_another_transport) {
  const gpu first(0);
  const gpu second(1);
  const std::vector<resources> both = {first, second};
  auto ranks = make_nccl_transports(both, 20s);
  ASSERT_EQ(ranks.size(), 2u);

  in_process_world world(2);
  std::vector<ncclComm_t> communicators(2);
  ASSERT_EQ(ncclCommInitAll(communicators.data(), 2, nullptr), ncclSuccess);
  const auto outcomes = run_gpus(2, [&](int rank) {
    testing::use_device(rank);
    const auto index = static_cast<std::size_t>(rank);
    check_collectives(*ranks[index]);
    check_collectives(*make_nccl_transport(both[index], communicators[index]));
    const auto bootstrap = world.connect(rank);
    check_collectives(*make_nccl_transport(both[index], *bootstrap, 20s));
    ranks[index].reset();
  });
  EXPECT_THAT(outcomes, Each(returned));
  for (const ncclComm_t each : communicators) EXPECT_EQ(ncclCommDestroy(each), ncclSuccess);
}

TEST_F(NcclPair, refuses_two_ranks_on_one_device_on_both) {
  const auto names_both = AllOf(Field(&outcome::how, outcome::kind::other),
                                Field(&outcome::words, HasSubstr("ranks 0 and 1")),
                                Field(&outcome::words, HasSubstr("GPU-")));
  const nccl_id id = make_nccl_id();
  in_process_world world(2);
  const auto by_id = run_gpus(2, [&](int rank) {
    const gpu here(0);
    EXPECT_THROW(make_nccl_transport(here, rank, 2, id, 20s), invalid_argument);
    const auto bootstrap = world.connect(rank);
    make_nccl_transport(here, *bootstrap, 20s);
  });
  EXPECT_THAT(by_id, Each(names_both));
  const gpu here(0);
  const std::vector<resources> twice = {here, here};
  EXPECT_THAT(outcome_of([&] { make_nccl_transports(twice, 20s); }), names_both);
}

TEST_F(NcclPair, refuses_what_can_never_be_right) {
  const gpu here(0);
  const nccl_id id = make_nccl_id();
  const auto with = [&](device where, cuda_stream stream) {
    return [=] { make_nccl_transport(resources{where, stream, nullptr, 0}, 0, 1, id, 2s); };
  };
  const device good = {device_kind::cuda, 0};
  EXPECT_THROW(with(good, nullptr)(), invalid_argument);
  EXPECT_THROW(with(good, cudaStreamLegacy)(), invalid_argument);
  EXPECT_THROW(with({device_kind::cpu, 0}, here.stream())(), invalid_argument);
  EXPECT_THROW(with({device_kind::cuda, 64}, here.stream())(), device_unavailable);
  EXPECT_THROW(make_nccl_transport(here, 2, 2, id, 2s), invalid_argument);
  EXPECT_THROW(make_nccl_transport(here, 0, 1, id, 0s), invalid_argument);
  EXPECT_THROW(make_nccl_transport(here, nullptr), invalid_argument);
  EXPECT_THROW(make_nccl_transports({}, 2s), invalid_argument);

  const auto ranks = make_nccl_transport(here, 0, 1, id, 20s);
  EXPECT_THROW(ranks->all_to_all_v(std::vector<send_piece>{{1, nullptr, 0}}, {}), invalid_argument);
  EXPECT_THROW(ranks->broadcast(nullptr, 8, 0), invalid_argument);
  EXPECT_THROW(ranks->broadcast(nullptr, 0, -1), invalid_argument);
  EXPECT_THROW(ranks->all_reduce(nullptr, -1, reduce_type::f32, reduce_operation::sum),
               invalid_argument);
  EXPECT_THROW(ranks->set_deadline(0ms), invalid_argument);
  ranks->barrier();  // none of these closed it
}

}  // namespace
}  // namespace warpbag
