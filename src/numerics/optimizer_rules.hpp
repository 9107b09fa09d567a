// SPDX-License-Identifier: Apache-2.0
#pragma once
// The optimizer step of one row (formulas and sources: include/warpbag/optimizer.hpp,
// docs/numerics.md). A backend
//   1. finishes the gradient:  g = sum; frequency_scaled(); clipped() with the row's clip scale
//   2. adds weight decay:      g = decayed_gradient(g, w), w = decayed_weight(w)
//   3. makes row factors:      row_factors from step_state (once a table), and from mean(g^2) where
//   a state is per row
//   4. updates every element:  update_element(); lamb in two sweeps, with the trust ratio of the
//   row between them
// Reductions over the row are in the order of N4 with fma(x, x, acc).

#include "numerics/host_device.hpp"
#include "warpbag/optimizer.hpp"

namespace warpbag::numerics {

// ---- the finished gradient
// ----------------------------------------------------------------------------------------

/// scale_grad_by_freq: the sum divided once by how often the row occurs in the batch.
WARPBAG_HOST_DEVICE float frequency_scaled(float gradient, float count) { return gradient / count; }

/// Factor that clipping by norm gives a row; sum_of_squares over the row (N4).
WARPBAG_HOST_DEVICE float clip_scale(float sum_of_squares, float limit) {
  const float norm = square_root(sum_of_squares);
  return norm > limit ? limit / norm : 1.0F;
}

/// NaN stays NaN.
WARPBAG_HOST_DEVICE float clamped(float gradient, float limit) {
  if (gradient > limit) return limit;
  return gradient < -limit ? -limit : gradient;
}

// ---- weight decay
// ---------------------------------------------------------------------------------------------------

WARPBAG_HOST_DEVICE float decayed_gradient(const optimizer_options& options, float gradient,
                                           float weight) {
  return options.decay_mode == weight_decay_mode::l2
             ? fused_multiply_add(options.weight_decay, weight, gradient)
             : gradient;
}

/// lamb keeps its decoupled decay inside the trust ratio (lamb_direction).
WARPBAG_HOST_DEVICE float decayed_weight(const optimizer_options& options, float learning_rate,
                                         float weight) {
  const bool applies =
      options.decay_mode == weight_decay_mode::decoupled && options.kind != optimizer_kind::lamb;
  return applies ? weight * (1.0F - learning_rate * options.weight_decay) : weight;
}

// ---- what does not depend on the element
// ----------------------------------------------------------------------------

/// One optimizer step begins: t += 1 and the powers of beta follow by one multiplication each (N6).
WARPBAG_HOST_DEVICE void advance(step_state& state, const optimizer_options& options) {
  state.step += 1;
  state.beta1_power *= static_cast<double>(options.beta1);
  state.beta2_power *= static_cast<double>(options.beta2);
}

/// Bias corrections of the adam family, rounded once a step: m / (1 - beta1^t) and sqrt(v / (1 -
/// beta2^t)).
struct step_factors {
  float learning_rate;
  float step_size;          // learning_rate / (1 - beta1^t)
  float first_correction;   // 1 / (1 - beta1^t)
  float second_correction;  // 1 / sqrt(1 - beta2^t)
};

WARPBAG_HOST_DEVICE step_factors make_step_factors(const step_state& state) {
  const double first = 1.0 / (1.0 - state.beta1_power);
  const double second = 1.0 / square_root(1.0 - state.beta2_power);
  return {state.learning_rate, static_cast<float>(static_cast<double>(state.learning_rate) * first),
          static_cast<float>(first), static_cast<float>(second)};
}

/// mean(g^2) of a row from its sum of squares.
WARPBAG_HOST_DEVICE float mean_square(float sum_of_squares, std::int32_t dim) {
  return sum_of_squares / static_cast<float>(dim);
}

WARPBAG_HOST_DEVICE float moving_average(float average, float value, float beta) {
  return fused_multiply_add(beta, average, (1.0F - beta) * value);
}

/// New row state of rowwise_adagrad and partial_rowwise_adam.
WARPBAG_HOST_DEVICE float update_row_state(const optimizer_options& options, float state,
                                           float mean_of_squares) {
  return options.kind == optimizer_kind::rowwise_adagrad
             ? state + mean_of_squares
             : moving_average(state, mean_of_squares, options.beta2);
}

/// True when the kind keeps state 0 (rowwise_adagrad) or state 1 (partial_rowwise_adam) per row.
WARPBAG_HOST_DEVICE bool needs_mean_square(optimizer_kind kind) {
  return kind == optimizer_kind::rowwise_adagrad || kind == optimizer_kind::partial_rowwise_adam;
}

/// rowwise_adagrad: what the row's gradient is multiplied by, from the row's updated state.
WARPBAG_HOST_DEVICE float rowwise_multiplier(const optimizer_options& options,
                                             const step_factors& factors, float row_state) {
  return factors.learning_rate / (square_root(row_state) + options.eps);
}

WARPBAG_HOST_DEVICE float rowwise_weight(float weight, float gradient, float multiplier) {
  return fused_multiply_add(-multiplier, gradient, weight);
}

// ---- one element
// ----------------------------------------------------------------------------------------------------

/// An element on its way through a step. `state` are its own per-element states; `row_state` the
/// row's, already updated.
struct element {
  float weight;
  float state[2];
};

/// Adam's direction before the learning rate: m^ / (sqrt(v^) + eps), with m^, v^ bias-corrected.
WARPBAG_HOST_DEVICE float adam_direction(const optimizer_options& options,
                                         const step_factors& factors, float m, float v) {
  return m * factors.first_correction / (square_root(v) * factors.second_correction + options.eps);
}

/// lamb, first sweep: updates the moments and returns the direction u = adam_direction +
/// weight_decay * w.
WARPBAG_HOST_DEVICE float lamb_direction(const optimizer_options& options,
                                         const step_factors& factors, element& x, float gradient) {
  x.state[0] = moving_average(x.state[0], gradient, options.beta1);
  x.state[1] = moving_average(x.state[1], gradient * gradient, options.beta2);
  const float direction = adam_direction(options, factors, x.state[0], x.state[1]);
  return options.decay_mode == weight_decay_mode::decoupled
             ? fused_multiply_add(options.weight_decay, x.weight, direction)
             : direction;
}

/// lamb: ||w|| / ||u||, 1 where either is 0 (You et al., Large Batch Optimization for Deep
/// Learning, 2020).
WARPBAG_HOST_DEVICE float trust_ratio(float weight_sum_of_squares, float direction_sum_of_squares) {
  const float weight_norm = square_root(weight_sum_of_squares);
  const float direction_norm = square_root(direction_sum_of_squares);
  return weight_norm > 0.0F && direction_norm > 0.0F ? weight_norm / direction_norm : 1.0F;
}

/// lamb, second sweep.
WARPBAG_HOST_DEVICE float lamb_weight(const step_factors& factors, float weight, float direction,
                                      float ratio) {
  return fused_multiply_add(-(factors.learning_rate * ratio), direction, weight);
}

/// FTRL-Proximal: state 0 is z, state 1 is n; alpha is the learning rate.
WARPBAG_HOST_DEVICE void update_ftrl(const optimizer_options& options, const step_factors& factors,
                                     element& x, float gradient) {
  const float n = fused_multiply_add(gradient, gradient, x.state[1]);
  const float root = square_root(n);
  const float sigma = (root - square_root(x.state[1])) / factors.learning_rate;
  const float z = fused_multiply_add(-sigma, x.weight, x.state[0] + gradient);
  x.state[0] = z;
  x.state[1] = n;
  const float over = absolute(z) - options.l1;
  const float denominator = (options.ftrl_beta + root) / factors.learning_rate + options.l2;
  const float magnitude = over > 0.0F ? over / denominator : 0.0F;
  x.weight = z != z ? z : (z > 0.0F ? -magnitude : magnitude);
}

/// Every kind but lamb: one element, whose gradient and weight are already decayed. `row_state` is
/// the updated state of the row where the kind has one (else it is ignored).
WARPBAG_HOST_DEVICE void update_element(const optimizer_options& options,
                                        const step_factors& factors, element& x, float gradient,
                                        float row_state) {
  switch (options.kind) {
    case optimizer_kind::sgd:
      if (options.momentum != 0.0F) {
        x.state[0] = fused_multiply_add(options.momentum, x.state[0], gradient);
        gradient = x.state[0];
      }
      x.weight = fused_multiply_add(-factors.learning_rate, gradient, x.weight);
      return;
    case optimizer_kind::adagrad:
      x.state[0] = fused_multiply_add(gradient, gradient, x.state[0]);
      x.weight -= factors.learning_rate * gradient / (square_root(x.state[0]) + options.eps);
      return;
    case optimizer_kind::rowwise_adagrad: {
      const float multiplier = rowwise_multiplier(options, factors, row_state);
      x.weight = rowwise_weight(x.weight, gradient, multiplier);
      return;
    }
    case optimizer_kind::adam:
    case optimizer_kind::adamw:
      x.state[0] = moving_average(x.state[0], gradient, options.beta1);
      x.state[1] = moving_average(x.state[1], gradient * gradient, options.beta2);
      x.weight -= factors.step_size * x.state[0] /
                  (square_root(x.state[1]) * factors.second_correction + options.eps);
      return;
    case optimizer_kind::partial_rowwise_adam:
      x.state[0] = moving_average(x.state[0], gradient, options.beta1);
      x.weight -= factors.step_size * x.state[0] /
                  (square_root(row_state) * factors.second_correction + options.eps);
      return;
    case optimizer_kind::ftrl: update_ftrl(options, factors, x, gradient); return;
    case optimizer_kind::lamb: return;  // lamb_direction, trust_ratio, lamb_weight
  }
}

}  // namespace warpbag::numerics
