// SPDX-License-Identifier: Apache-2.0
// On GPUs prefetch works beside the caller: it waits neither for other ranks nor for the device,
// and what goes wrong in it is thrown by the forward of its batch.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <future>

#include "cuda/error.hpp"
#include "sharding/nccl_case.hpp"
#include "transport/gpu_ranks.hpp"

namespace warpbag::support {
namespace {

/// Ids on a device that are not there yet: overwritten with zeros until restore() is called.
class late_ids {
 public:
  late_ids(const jagged_view& bags, cudaStream_t stream)
      : ids_(const_cast<void*>(bags.ids.data)),
        bytes_(static_cast<std::size_t>(bags.ids.size) * size_of(bags.ids.type)),
        stream_(stream) {
    if (bytes_.empty()) return;
    copy(bytes_.data(), ids_, cudaMemcpyDeviceToHost);
    WARPBAG_CUDA_TRY(cudaMemsetAsync(ids_, 0, bytes_.size(), stream_));
    WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream_));
  }
  void restore() { copy(ids_, bytes_.data(), cudaMemcpyHostToDevice); }

 private:
  void copy(void* to, const void* from, cudaMemcpyKind kind) {
    if (bytes_.empty()) return;
    WARPBAG_CUDA_TRY(cudaMemcpyAsync(to, from, bytes_.size(), kind, stream_));
    if (kind == cudaMemcpyDeviceToHost) WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream_));
  }

  void* ids_;
  std::vector<std::byte> bytes_;
  cudaStream_t stream_;
};

sharded_case draw(std::uint64_t seed, bool partial_bags) {
  case_limits limits = limits_on_devices();
  limits.partial_bags = partial_bags;
  return random_case(seed, 2, limits);
}

TEST(Prefetch, of_a_rank_returns_before_the_others_have_called_it_and_before_its_ids_are_there) {
  for (const bool partial_bags : {false, true}) {
    const sharded_case drawn = draw(31, partial_bags);
    std::vector<std::promise<void>> called(static_cast<std::size_t>(drawn.num_steps()));
    bool in_time = true;
    const auto actual = run_on_devices(drawn, [&](rank_run& run, int rank) {
      cudaStream_t stream = run.collection().get_resources().stream;
      std::vector<late_ids> ids;  // until the end: copies from them may be under way
      for (std::int64_t step = 0; step < drawn.num_steps(); ++step) {
        run.forward(step);
        if (step + 1 == drawn.num_steps()) {
          run.backward(step);
          break;
        }
        auto& returned = called[static_cast<std::size_t>(step)];
        if (rank == 1) {
          const auto waited = returned.get_future().wait_for(std::chrono::seconds(10));
          in_time = in_time && waited == std::future_status::ready;
        }
        const std::size_t first = ids.size();
        for (const jagged_view& bags : run.batch(step + 1).bags) ids.emplace_back(bags, stream);
        for (std::size_t i = first; i < ids.size(); ++i) ids[i].restore();
        run.prefetch(step + 1);
        if (rank == 0) returned.set_value();
        run.backward(step);
      }
      WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream));
    });
    EXPECT_TRUE(in_time);
    EXPECT_EQ("", difference(run_sharded(drawn, false), actual)) << drawn;
  }
}

/// A case whose rank 1 has an id of feature 0 in step 1 that could be bad.
sharded_case case_with_ids() {
  for (std::uint64_t seed = 50;; ++seed) {
    sharded_case drawn = draw(seed, false);
    const auto& lengths = drawn.batches[1][0].lengths;
    const auto first = lengths.begin() + drawn.sizes[1][0][0];
    const bool has_ids = std::any_of(first, lengths.end(), [](auto length) { return length > 0; });
    if (has_ids && drawn.options.policy == bad_id_policy::error) return drawn;
  }
}

TEST(Prefetch, of_a_bad_batch_is_thrown_by_its_forward_on_every_rank_and_all_go_on) {
  const sharded_case drawn = case_with_ids();
  const auto actual = run_on_devices(drawn, [&](rank_run& run, int rank) {
    run.forward(0);
    const jagged_view& bags = run.batch(1).bags[0];
    cudaStream_t stream = run.collection().get_resources().stream;
    late_ids good(bags, stream);
    good.restore();
    if (rank == 1) {  // -1, whatever the type
      WARPBAG_CUDA_TRY(
          cudaMemsetAsync(const_cast<void*>(bags.ids.data), 0xFF, size_of(bags.ids.type), stream));
    }
    run.prefetch(1);
    run.backward(0);
    EXPECT_THROW(run.forward(1), id_out_of_range);
    good.restore();
    run.run(1, drawn.num_steps(), true);
    WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream));
  });
  EXPECT_EQ("", difference(run_sharded(drawn, false), actual)) << drawn;
}

TEST(Prefetch, may_be_the_last_call) {
  const sharded_case drawn = draw(31, false);
  const auto actual = run_on_devices(drawn, [&](rank_run& run, int) {
    run.run(0, drawn.num_steps(), true);
    run.prefetch(0);
  });
  EXPECT_EQ("", difference(run_sharded(drawn, false), actual)) << drawn;
}

TEST(Prefetch, ends_with_its_step_where_a_rank_falls_silent) {
  const auto kill = CUDASIM_FIND(cudasim_nccl_kill);
  const auto count = CUDASIM_FIND(cudasim_nccl_operation_count);
  if (kill == nullptr) GTEST_SKIP() << "no simulator here";
  constexpr std::chrono::milliseconds deadline(500);
  const sharded_case drawn = draw(31, false);
  unsigned long long first = 0;
  const auto steps = [&](rank_run& run, int rank) {
    if (rank == 1) first = count(1);
    run.run(0, drawn.num_steps(), true);
  };
  run_on_devices(drawn, steps);
  const unsigned long long operations = count(1) - first;
  for (unsigned long long killed = 1; killed <= operations; killed += operations / 3) {
    SCOPED_TRACE("from operation " + std::to_string(killed));
    const testing::provoked_failures forgiven;
    const auto dying = [&](rank_run& run, int rank) {
      if (rank == 1) kill(1, killed);
      const auto start = std::chrono::steady_clock::now();
      const auto met = testing::outcome_of([&] { steps(run, rank); });
      EXPECT_LT(std::chrono::steady_clock::now() - start, deadline + std::chrono::seconds(5));
      EXPECT_EQ(met.how, testing::outcome::kind::lost) << met.words;
      throw rank_lost(met.words, met.rank);  // nothing of this run is to be collected
    };
    EXPECT_THROW(run_on_devices(drawn, dying, deadline), rank_lost);
    kill(1, 0);
  }
}

}  // namespace
}  // namespace warpbag::support
