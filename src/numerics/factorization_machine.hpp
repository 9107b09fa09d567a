// SPDX-License-Identifier: Apache-2.0
#pragma once
// The factorization machine of Rendle (Factorization Machines, ICDM 2010) over pooled features, and
// its logistic loss. With v_f the pooled vector and w_f the pooled first-order weight of feature f:
//   logit = bias + sum_f w_f + sum_{f < g} <v_f, v_g>
//   sum_{f < g} <v_f, v_g> = 1/2 sum_d [ (sum_f v_fd)^2 - sum_f v_fd^2 ]      (equation 5 there)
// Sums over features go in feature order from +0, the sum over d in the order of N4. No fma, so
// that the loops over d are plain vector code on any CPU.

#include "numerics/elementary.hpp"
#include "numerics/lane_reduction.hpp"

namespace warpbag::numerics {

/// Takes one feature's element d into the sums of dimension d.
WARPBAG_HOST_DEVICE void add_to_pair_sums(float& sum, float& squares, float element) {
  sum = sum + element;
  squares = squares + element * element;
}

/// What dimension d adds to twice the sum over pairs.
WARPBAG_HOST_DEVICE float pair_term(float sum, float squares) { return sum * sum - squares; }

/// `pair_terms`: the sum of pair_term over the dimensions.
WARPBAG_HOST_DEVICE float machine_logit(float bias, float first_order, float pair_terms) {
  return (bias + first_order) + 0.5F * pair_terms;
}

/// -ln P(label): softplus(-logit) for label 1, softplus(logit) for label 0.
WARPBAG_HOST_DEVICE float logistic_loss(float logit, float label) {
  const auto z = static_cast<double>(logit);
  return static_cast<float>(softplus(label > 0.5F ? -z : z));
}

/// Derivative of the batch's mean loss by the logit of one sample: (sigmoid(logit) - label) /
/// batch, where sigmoid(z) - 1 = -sigmoid(-z) keeps its digits for large z.
WARPBAG_HOST_DEVICE float logit_gradient(float logit, float label, std::int64_t batch) {
  const auto z = static_cast<double>(logit);
  const double difference = label > 0.5F ? -sigmoid(-z) : sigmoid(z);
  return static_cast<float>(difference / static_cast<double>(batch));
}

/// Derivative by element d of v_f: that of the pairs is sum_g v_gd without g = f. The derivative by
/// w_f and by the bias is the logit's own.
WARPBAG_HOST_DEVICE float vector_gradient(float gradient_of_logit, float sum, float element) {
  return gradient_of_logit * (sum - element);
}

}  // namespace warpbag::numerics
