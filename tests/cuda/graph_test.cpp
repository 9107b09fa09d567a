// SPDX-License-Identifier: Apache-2.0
// A step captured in a CUDA graph and replayed with new inputs in the same buffers.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <functional>

#include "cuda/small_model.hpp"

namespace warpbag::cuda_test {
namespace {

constexpr unsigned num_steps = 4;

/// A graph of what `work` enqueues on a stream.
class captured_graph {
 public:
  captured_graph(cudaStream_t stream, const std::function<void()>& work) : stream_(stream) {
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    work();
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&executable_, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  captured_graph(const captured_graph&) = delete;
  captured_graph& operator=(const captured_graph&) = delete;
  ~captured_graph() { EXPECT_EQ(cudaGraphExecDestroy(executable_), cudaSuccess); }

  void launch() { ASSERT_EQ(cudaGraphLaunch(executable_, stream_), cudaSuccess); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

/// A model of its own and a backend for it.
struct trainer {
  std::unique_ptr<support::test_device> device = make_device();
  std::unique_ptr<operations::backend> backend = device->make_backend();
  small_model model{*device};

  trainer() { backend->reserve(support::limits_of(model.problem())); }
  cudaStream_t stream() const { return device->get_resources().stream; }
  void step() { support::run_step(*backend, model.problem()); }
};

std::vector<std::vector<float>> trained_eagerly() {
  trainer eager;
  for (unsigned seed = 1; seed <= num_steps; ++seed) {
    eager.model.set(random_batch(seed));
    eager.step();
  }
  return eager.model.written();
}

TEST(CudaGraph, replay_with_new_ids_gradients_and_learning_rate_equals_eager) {
  trainer replayed;
  captured_graph graph(replayed.stream(), [&] { replayed.step(); });
  for (unsigned seed = 1; seed <= num_steps; ++seed) {
    replayed.model.set(random_batch(seed));
    graph.launch();
  }
  EXPECT_EQ(replayed.model.written(), trained_eagerly());
  EXPECT_EQ(replayed.model.steps(0), num_steps);
  EXPECT_EQ(replayed.model.steps(1), num_steps);
}

TEST(CudaGraph, eager_steps_between_replays_do_not_disturb_either) {
  trainer mixed;
  small_model other(*mixed.device);
  captured_graph graph(mixed.stream(), [&] { mixed.step(); });
  for (unsigned seed = 1; seed <= num_steps; ++seed) {
    const batch next = random_batch(seed);
    mixed.model.set(next);
    graph.launch();
    other.set(next);
    support::run_step(*mixed.backend, other.problem());
  }
  const auto expected = trained_eagerly();
  EXPECT_EQ(mixed.model.written(), expected);
  EXPECT_EQ(other.written(), expected);
}

TEST(CudaGraph, replay_of_a_bad_batch_changes_nothing_and_the_next_good_one_works) {
  trainer replayed;
  captured_graph graph(replayed.stream(), [&] { replayed.step(); });
  for (unsigned seed = 1; seed <= num_steps; ++seed) {
    const auto before = replayed.model.written();
    batch bad = random_batch(seed);
    bad.ids[1][7] = num_rows[1];
    replayed.model.set(bad);
    graph.launch();
    EXPECT_EQ(replayed.model.written(), before) << "seed " << seed;
    replayed.model.set(random_batch(seed));
    graph.launch();
  }
  EXPECT_EQ(replayed.model.written(), trained_eagerly());
  EXPECT_EQ(replayed.backend->status().where.position, 7);
}

}  // namespace
}  // namespace warpbag::cuda_test
