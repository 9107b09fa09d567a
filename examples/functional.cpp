// SPDX-License-Identifier: Apache-2.0
// The functional interface: your memory, your stream; here std::vector on the CPU.
#include <cstdio>
#include <vector>

#include "warpbag/embedding_bag.hpp"

int main() {
  std::vector<float> rows = {1, 2, 3, 4, 5, 6};     // a table of 3 rows of 2
  const std::vector<std::int64_t> ids = {0, 2, 1};  // bag 0 is {0, 2}, bag 1 is {1}
  const std::vector<std::int64_t> offsets = {0, 2, 3};
  std::vector<float> pooled(2 * 2);
  const std::vector<float> gradient = {1, 1, 0, 2};  // of the pooled vectors
  warpbag::step_state step{.learning_rate = 0.1F};

  warpbag::table_view table;
  table.weight = {rows.data(), warpbag::dtype::f32, 3, 2};
  table.step = &step;
  const warpbag::feature_view feature = {
      0, warpbag::pooling_mode::sum,
      warpbag::jagged_view::csr({ids.data(), 3}, {offsets.data(), 3}, true)};
  const warpbag::tensor_view output(pooled.data(), warpbag::dtype::f32, 2, 2);
  const warpbag::const_tensor_view output_gradient(gradient.data(), warpbag::dtype::f32, 2, 2);

  warpbag::step_workspace workspace{warpbag::resources{}};
  warpbag::forward({&table, 1}, {&feature, 1}, {&output, 1}, workspace);
  warpbag::backward_fused({&table, 1}, {&feature, 1}, {&output_gradient, 1}, workspace);
  std::printf("bag 0: %g %g, bag 1: %g %g; row 0 after the step: %g %g\n", pooled[0], pooled[1],
              pooled[2], pooled[3], rows[0], rows[1]);
  return pooled[0] == 6.0F && rows[0] == 0.9F ? 0 : 1;
}
