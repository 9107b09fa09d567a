// SPDX-License-Identifier: Apache-2.0
// The formulas between the pooled vectors and the loss, on the CPU: against the definition in
// double, against finite differences, and against themselves on other numbers of threads.
#include <gtest/gtest.h>

#include <cmath>

#include "model/score_fixture.hpp"

namespace warpbag::model {
namespace {

constexpr unsigned seed = 20250801;

/// By the definition: all pairs of features, in double.
double logit_by_pairs(const score_inputs& inputs, const std::vector<double>& row) {
  const auto features = static_cast<std::size_t>(inputs.num_features);
  const auto dim = static_cast<std::size_t>(inputs.dim);
  double logit = row[features * dim + features];
  for (std::size_t f = 0; f < features; ++f) {
    logit += row[features * dim + f];
    for (std::size_t g = f + 1; g < features; ++g) {
      for (std::size_t d = 0; d < dim; ++d) logit += row[f * dim + d] * row[g * dim + d];
    }
  }
  return logit;
}

double loss_of(double logit, float label) {
  const double z = label > 0.5F ? -logit : logit;
  return std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0);
}

std::vector<double> row_of(const score_inputs& inputs, std::int64_t sample) {
  const auto begin = inputs.pooled.begin() + sample * inputs.stride;
  return {begin, begin + inputs.stride};
}

TEST(Score, logits_and_losses_are_those_of_the_definition) {
  const auto device = make_cpu_model_device(1);
  for (const std::int32_t dim : {1, 3, 16, 130}) {
    const score_inputs inputs = random_score_inputs(40, 5, dim, seed);
    const score_outputs outputs = score_on(*device, inputs);
    for (std::int64_t sample = 0; sample < inputs.batch; ++sample) {
      const auto i = static_cast<std::size_t>(sample);
      const double logit = logit_by_pairs(inputs, row_of(inputs, sample));
      // Each of the 2 * 5 * dim terms is below 25 and rounded a few times.
      const double bound = 25.0 * dim * 0x1p-22;
      EXPECT_NEAR(static_cast<double>(outputs.logits[i]), logit, bound) << "dim " << dim;
      EXPECT_NEAR(static_cast<double>(outputs.losses[i]), loss_of(logit, inputs.labels[i]),
                  2.0 * bound);
    }
  }
}

TEST(Score, gradients_are_those_of_finite_differences) {
  const auto device = make_cpu_model_device(1);
  const score_inputs inputs = random_score_inputs(7, 4, 6, seed);
  const score_outputs outputs = score_on(*device, inputs);
  const std::int64_t width = std::int64_t{inputs.num_features} * (inputs.dim + 1) + 1;
  constexpr double step = 1e-5;  // differences are wrong by about step^2 and 1e-16 / step
  for (std::int64_t sample = 0; sample < inputs.batch; ++sample) {
    const float label = inputs.labels[static_cast<std::size_t>(sample)];
    std::vector<double> row = row_of(inputs, sample);
    for (std::int64_t column = 0; column < width; ++column) {
      double& element = row[static_cast<std::size_t>(column)];
      const double kept = element;
      element = kept + step;
      const double above = loss_of(logit_by_pairs(inputs, row), label);
      element = kept - step;
      const double below = loss_of(logit_by_pairs(inputs, row), label);
      element = kept;
      const double expected = (above - below) / (2.0 * step) / static_cast<double>(inputs.batch);
      const float got =
          outputs.gradients[static_cast<std::size_t>(sample * inputs.stride + column)];
      EXPECT_NEAR(static_cast<double>(got), expected, 1e-6)
          << "seed " << seed << ", sample " << sample << ", column " << column;
    }
  }
}

TEST(Score, keeps_its_digits_for_large_logits) {
  score_inputs inputs = random_score_inputs(4, 1, 1, seed);
  const std::vector<float> biases = {50.0F, -50.0F, 100.0F, -100.0F};
  inputs.labels = {1.0F, 0.0F, 0.0F, 1.0F};
  for (std::size_t i = 0; i < 4; ++i) {
    float* const row = inputs.pooled.data() + i * static_cast<std::size_t>(inputs.stride);
    row[0] = row[1] = 0.0F;
    row[2] = biases[i];
  }
  const score_outputs outputs = score_on(*make_cpu_model_device(1), inputs);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_FLOAT_EQ(outputs.losses[i], static_cast<float>(std::exp(-50.0)));
  }
  for (std::size_t i = 2; i < 4; ++i) EXPECT_EQ(outputs.losses[i], 100.0F);
  const auto stride = static_cast<std::size_t>(inputs.stride);
  EXPECT_FLOAT_EQ(outputs.gradients[2], static_cast<float>(-std::exp(-50.0) / 4.0));
  EXPECT_EQ(outputs.gradients[2 * stride + 2], 0.25F);
}

TEST(Score, has_the_same_bits_on_any_number_of_threads) {
  const score_inputs inputs = random_score_inputs(1000, 3, 20, seed);
  const score_outputs one = score_on(*make_cpu_model_device(1), inputs);
  for (const int threads : {2, 3}) {
    const score_outputs many = score_on(*make_cpu_model_device(threads), inputs);
    EXPECT_TRUE(same_bits(one.logits, many.logits)) << threads;
    EXPECT_TRUE(same_bits(one.losses, many.losses)) << threads;
    EXPECT_TRUE(same_bits(one.gradients, many.gradients)) << threads;
  }
}

}  // namespace
}  // namespace warpbag::model
