// SPDX-License-Identifier: Apache-2.0
// Tables whose bags owners pool in parts: outputs are those of one device to within the rounding of
// sums in another order; weights, states and gradients of weights are its bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sharding/sharded_case.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

const table_plan& plan_of(const sharded_case& drawn, const std::string& table) {
  return *std::find_if(drawn.plan.tables.begin(), drawn.plan.tables.end(),
                       [&](const table_plan& plan) { return plan.table == table; });
}

double rounding_of(dtype type) {
  switch (type) {
    case dtype::f16: return std::ldexp(1.0, -11);
    case dtype::bf16: return std::ldexp(1.0, -8);
    case dtype::f32: break;
  }
  return std::ldexp(1.0, -24);
}

/// Where outputs of tables pooled in parts are near those of one device they become them, so that
/// everything else can be compared bit by bit. Two sums of n terms w x, in any order, are at most
/// 2 n u sum|w x| apart (u: the rounding of fp32), and each is rounded once more to the output.
void accept_near_outputs(const sharded_case& drawn, const run_results& expected, double largest_row,
                         run_results& actual) {
  for (std::size_t step = 0; step < expected.outputs.size(); ++step) {
    for (std::size_t f = 0; f < drawn.features.size(); ++f) {
      if (plan_of(drawn, drawn.features[f].table).exchange != row_exchange::partial_bags) continue;
      const feature_batch& batch = drawn.batches[step][f];
      double largest_weight = 1.0;
      for (const float w : batch.weights) {
        largest_weight = std::max(largest_weight, std::abs(double{w}));
      }
      const std::vector<float>& wanted = expected.outputs[step][f];
      std::vector<float>& got = actual.outputs[step][f];
      const std::size_t dim =
          (wanted.size() - batch.ids.size()) / std::max<std::size_t>(1, batch.lengths.size());
      for (std::size_t i = 0; i < dim * batch.lengths.size(); ++i) {
        const auto n = static_cast<double>(batch.lengths[i / dim]);
        const double apart = 2.0 * n * rounding_of(dtype::f32) * n * largest_weight * largest_row +
                             2.0 * rounding_of(drawn.output_type) * std::abs(double{wanted[i]}) +
                             1e-7;  // f16 below its normal numbers
        if (std::abs(double{wanted[i]} - double{got[i]}) <= apart) got[i] = wanted[i];
      }
    }
  }
}

class PartialBags : public ::testing::TestWithParam<int> {};

TEST_P(PartialBags, differ_from_one_device_by_the_rounding_of_outputs_alone) {
  const int ranks = GetParam();
  for (const std::uint64_t seed : seeds_of_test(static_cast<std::uint64_t>(3000 * ranks), 20)) {
    const sharded_case drawn = random_case(seed, ranks, {.steps = 3, .partial_bags = true});
    const auto device = cpu_backend(1).make_device();
    const run_results expected = run_on_one_device(*device, drawn);
    run_results actual = run_sharded(drawn, seed % 2 == 0);
    // Rows are drawn with a deviation of 0.5 and steps are small.
    accept_near_outputs(drawn, expected, 8.0, actual);
    ASSERT_EQ("", difference(expected, actual)) << drawn;
  }
}

TEST_P(PartialBags, are_the_same_bits_in_every_run) {
  const int ranks = GetParam();
  for (const std::uint64_t seed : seeds_of_test(static_cast<std::uint64_t>(4000 * ranks), 5)) {
    const sharded_case drawn = random_case(seed, ranks, {.steps = 3, .partial_bags = true});
    ASSERT_EQ("", difference(run_sharded(drawn, false), run_sharded(drawn, true))) << drawn;
  }
}

INSTANTIATE_TEST_SUITE_P(ranks, PartialBags, ::testing::Values(1, 2, 3, 4, 8));

// Bags of one block (N2) have one part then, and its sum is theirs.
TEST(PartialBags, of_one_rank_are_those_of_one_device) {
  for (const std::uint64_t seed : seeds_of_test(5000, 20)) {
    const sharded_case drawn = random_case(seed, 1, {.steps = 3, .partial_bags = true});
    const auto device = cpu_backend(1).make_device();
    ASSERT_EQ("", difference(run_on_one_device(*device, drawn), run_sharded(drawn, false)))
        << drawn;
  }
}

}  // namespace
}  // namespace warpbag::support
