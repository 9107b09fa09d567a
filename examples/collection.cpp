// SPDX-License-Identifier: Apache-2.0
// A collection owns tables, optimizer states and scratch memory. For a GPU, give
// {{warpbag::device_kind::cuda, 0}, stream} and memory of that GPU in the views.
#include <cstdio>
#include <vector>

#include "warpbag/collection.hpp"

int main() {
  warpbag::table_config films{.name = "film", .num_embeddings = 1000, .embedding_dim = 4};
  films.optimizer = {.kind = warpbag::optimizer_kind::adagrad, .learning_rate = 0.1F};
  warpbag::embedding_bag_collection tables({films}, {{"seen", "film", warpbag::pooling_mode::mean}},
                                           warpbag::resources{});

  const std::vector<std::int64_t> ids = {7, 42, 7, 999};  // two users who saw two films each
  const auto seen = warpbag::jagged_view::fixed({ids.data(), 4}, 2, 2);
  std::vector<float> pooled(2 * 4);
  const warpbag::tensor_view output(pooled.data(), warpbag::dtype::f32, 2, 4);
  for (int step = 0; step < 100; ++step) {  // pull every mean towards zero: the gradient of |x|^2/2
    tables.forward({&seen, 1}, {&output, 1});
    const warpbag::const_tensor_view gradient = output;
    tables.backward({&seen, 1}, {&gradient, 1});
  }
  std::printf("a user's vector after 100 steps: %g %g %g %g\n", pooled[0], pooled[1], pooled[2],
              pooled[3]);
  return pooled[0] * pooled[0] < 1e-4F ? 0 : 1;
}
