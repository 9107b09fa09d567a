// SPDX-License-Identifier: Apache-2.0
// A captured step, replayed with other ids, gradients, bag sizes and learning rates in the same
// memory, does what the same calls do one by one.

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>

#include "collection/small_batch.hpp"

namespace warpbag::support {
namespace {

void check(cudaError_t result) { ASSERT_EQ(result, cudaSuccess) << cudaGetErrorString(result); }

/// Ids and offsets of one replay, for two features of the sizes of the capture.
struct contents_of_step {
  std::vector<std::int64_t> ids[2];
  std::vector<std::int64_t> offsets[2];
  float learning_rate;
};

class CudaGraph : public on_every_backend {
 protected:
  embedding_bag_collection make() {
    optimizer_options adam;
    adam.kind = optimizer_kind::adam;
    table_config item = make_table("item", 9, 5, adam);
    item.max_norm = 0.5F;
    item.scale_grad_by_freq = true;
    table_config user = make_table("user", 6, 4, adam);
    return {{item, user},
            {{"a", "item", pooling_mode::mean}, {"b", "user", pooling_mode::max}},
            resources_};
  }

  static std::vector<contents_of_step> steps() {
    return {{{{0, 3, 3, 8}, {5, 1, 1}}, {{0, 2, 4}, {0, 1, 3}}, 0.1F},
            {{{7, 7, 7, 7}, {0, 2, 4}}, {{0, 0, 4}, {0, 3, 3}}, 0.5F},
            {{{1, 2, 0, 0}, {3, 3, 3}}, {{0, 1, 2}, {0, 1, 2}}, 0.01F}};  // fewer ids than captured
  }

  /// Writes a step's ids into the memory that the graph was captured with.
  void overwrite(const small_batch& batch, const contents_of_step& step) {
    for (std::size_t f = 0; f < 2; ++f) {
      const auto copy = [&](const index_view& view, const std::vector<std::int64_t>& values) {
        ASSERT_EQ(view.size, static_cast<std::int64_t>(values.size()));
        check(cudaMemcpyAsync(const_cast<void*>(view.data), values.data(),
                              values.size() * sizeof(std::int64_t), cudaMemcpyHostToDevice,
                              resources_.stream));
        check(cudaStreamSynchronize(resources_.stream));
      };
      copy(batch.bags[f].ids, step.ids[f]);
      copy(batch.bags[f].offsets, step.offsets[f]);
    }
  }

  static std::vector<feature_bags> bags_of(const contents_of_step& step) {
    return {{step.ids[0], step.offsets[0]}, {step.ids[1], step.offsets[1]}};
  }

  /// Captures `body` and returns what is ready to launch.
  template <typename Body>
  cudaGraphExec_t capture(Body body) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    check(cudaStreamBeginCapture(resources_.stream, cudaStreamCaptureModeThreadLocal));
    body();
    check(cudaStreamEndCapture(resources_.stream, &graph));
    check(cudaGraphInstantiate(&ready, graph, 0));
    check(cudaGraphDestroy(graph));
    return ready;
  }
};

TEST_P(CudaGraph, replays_a_step_with_new_ids_and_learning_rates) {
  auto eager = make();
  auto captured = make();
  small_batch batch(*device_, captured, bags_of(steps()[0]));
  captured.reserve(batch.bags);
  const cudaGraphExec_t graph = capture([&] {
    captured.forward(batch.bags, batch.outputs);
    captured.backward(batch.bags, batch.output_gradients);
  });
  EXPECT_EQ(captured.step_of(0).step, 0U) << "a capture does nothing";
  for (const contents_of_step& step : steps()) {
    small_batch same(*device_, eager, bags_of(step));
    eager.set_learning_rate(step.learning_rate);
    eager.forward(same.bags, same.outputs);
    eager.backward(same.bags, same.output_gradients);
    overwrite(batch, step);
    captured.set_learning_rate(step.learning_rate);
    check(cudaGraphLaunch(graph, resources_.stream));
    check(cudaStreamSynchronize(resources_.stream));
    for (std::size_t f = 0; f < 2; ++f) EXPECT_EQ(batch.output(f), same.output(f)) << f;
    EXPECT_EQ(snapshot(captured), snapshot(eager));
  }
  EXPECT_EQ(captured.step_of(0).step, 3U);
  check(cudaGraphExecDestroy(graph));
}

TEST_P(CudaGraph, gates_a_replay_whose_batch_is_bad) {
  auto collection = make();
  small_batch batch(*device_, collection, bags_of(steps()[0]));
  collection.reserve(batch.bags);
  const cudaGraphExec_t graph = capture([&] {
    collection.forward(batch.bags, batch.outputs);
    collection.backward(batch.bags, batch.output_gradients);
  });
  const auto before = snapshot(collection);
  contents_of_step bad = steps()[1];
  bad.ids[1][2] = 6;
  overwrite(batch, bad);
  check(cudaGraphLaunch(graph, resources_.stream));
  try {
    collection.check();
    ADD_FAILURE() << "the bad batch went unnoticed";
  } catch (const id_out_of_range& fault) {
    EXPECT_EQ(fault.where().feature, 1);
    EXPECT_EQ(fault.where().position, 2);
    EXPECT_EQ(fault.where().value, 6);
  }
  EXPECT_EQ(snapshot(collection), before);
  overwrite(batch, steps()[1]);
  check(cudaGraphLaunch(graph, resources_.stream));
  collection.check();
  EXPECT_EQ(collection.step_of(1).step, 1U);
  check(cudaGraphExecDestroy(graph));
}

TEST_P(CudaGraph, captures_sparse_gradients_their_application_and_the_learning_rate) {
  auto eager = make();
  auto captured = make();
  small_batch batch(*device_, captured, bags_of(steps()[0]));
  captured.reserve(batch.bags);
  const cudaGraphExec_t graph = capture([&] {
    captured.set_learning_rate(0.25F);
    captured.forward(batch.bags, batch.outputs);
    captured.backward_sparse(batch.bags, batch.output_gradients, batch.sparse);
    captured.apply_gradients(batch.sparse);
  });
  eager.set_learning_rate(0.25F);
  for (const contents_of_step& step : steps()) {
    small_batch same(*device_, eager, bags_of(step));
    eager.forward(same.bags, same.outputs);
    eager.backward(same.bags, same.output_gradients);
    overwrite(batch, step);
    check(cudaGraphLaunch(graph, resources_.stream));
    EXPECT_EQ(snapshot(captured), snapshot(eager));
  }
  check(cudaGraphExecDestroy(graph));
}

TEST_P(CudaGraph, refuses_the_legacy_default_stream) {
  resources legacy = resources_;
  legacy.stream = nullptr;
  EXPECT_THROW(step_workspace{legacy}, invalid_argument);
  EXPECT_THROW(embedding_bag_collection({}, {}, legacy), invalid_argument);
}

TEST_P(CudaGraph, works_whatever_device_is_current) {
  int count = 0;
  check(cudaGetDeviceCount(&count));
  if (count < 2) GTEST_SKIP() << "one device";
  auto collection = make();
  small_batch batch(*device_, collection, bags_of(steps()[0]));
  check(cudaSetDevice(1));
  collection.forward(batch.bags, batch.outputs);
  collection.backward(batch.bags, batch.output_gradients);
  EXPECT_EQ(collection.step_of(0).step, 1U);
  int current = -1;
  check(cudaGetDevice(&current));
  EXPECT_EQ(current, 1);
  check(cudaSetDevice(0));
}

WARPBAG_FOR_EVERY_BACKEND(CudaGraph);

}  // namespace
}  // namespace warpbag::support
