// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "model/score_fixture.hpp"

namespace warpbag::model {
namespace {

TEST(CudaScore, has_the_bits_of_the_cpu) {
  constexpr unsigned seed = 20250802;
  const auto cpu = make_cpu_model_device(1);
  const auto cuda = make_cuda_model_device(0);
  // Each width of access with each group of lanes, batches that do not fill a block, no pairs.
  for (const std::int32_t dim : {1, 2, 4, 16, 18, 31, 64, 65, 100, 128, 132, 258}) {
    for (const std::int32_t num_features : {1, 5}) {
      const score_inputs inputs = random_score_inputs(75, num_features, dim, seed);
      const score_outputs expected = score_on(*cpu, inputs);
      const score_outputs got = score_on(*cuda, inputs);
      EXPECT_TRUE(same_bits(expected.logits, got.logits)) << "seed " << seed << ", dim " << dim;
      EXPECT_TRUE(same_bits(expected.losses, got.losses)) << "seed " << seed << ", dim " << dim;
      EXPECT_TRUE(same_bits(expected.gradients, got.gradients))
          << "seed " << seed << ", dim " << dim;
    }
  }
}

}  // namespace
}  // namespace warpbag::model
