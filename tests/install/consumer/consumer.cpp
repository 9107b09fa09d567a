// SPDX-License-Identifier: Apache-2.0
// One bag {row 0, row 1} of a table of two rows: the sum is {4, 6}.
#include <array>
#include <cstdint>

#include "warpbag/embedding_bag.hpp"

int main() {
  std::array<float, 4> weight = {1, 2, 3, 4};
  const std::array<std::int64_t, 2> ids = {0, 1};
  std::array<float, 2> output = {};
  const std::array tables = {
      warpbag::table_view{.weight = {weight.data(), warpbag::dtype::f32, 2, 2}}};
  const std::array features = {
      warpbag::feature_view{.bags = warpbag::jagged_view::fixed({ids.data(), 2}, 1, 2)}};
  const std::array outputs = {warpbag::tensor_view(output.data(), warpbag::dtype::f32, 1, 2)};
  warpbag::step_workspace workspace{warpbag::resources{}};
  warpbag::forward(tables, features, outputs, workspace);
  return output == std::array<float, 2>{4, 6} ? 0 : 1;
}
