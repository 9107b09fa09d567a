// SPDX-License-Identifier: Apache-2.0
#include "warpbag/optimizer.hpp"

#include <cmath>
#include <string>

#include "warpbag/error.hpp"

namespace warpbag {

state_shape optimizer_state_shape(const optimizer_options& options, int index) {
  switch (options.kind) {
    case optimizer_kind::sgd:
      return index == 0 && options.momentum != 0.0F ? state_shape::per_element
                                                    : state_shape::absent;
    case optimizer_kind::adagrad:
      return index == 0 ? state_shape::per_element : state_shape::absent;
    case optimizer_kind::rowwise_adagrad:
      return index == 0 ? state_shape::per_row : state_shape::absent;
    case optimizer_kind::partial_rowwise_adam:
      return index == 0 ? state_shape::per_element : state_shape::per_row;
    case optimizer_kind::adam:
    case optimizer_kind::adamw:
    case optimizer_kind::lamb:
    case optimizer_kind::ftrl: return state_shape::per_element;
  }
  return state_shape::absent;
}

std::string_view optimizer_state_name(const optimizer_options& options, int index) {
  switch (options.kind) {
    case optimizer_kind::sgd: return "momentum";
    case optimizer_kind::adagrad:
    case optimizer_kind::rowwise_adagrad: return "sum";
    case optimizer_kind::ftrl: return index == 0 ? "z" : "n";
    default: return index == 0 ? "exp_avg" : "exp_avg_sq";
  }
}

std::string_view to_string(optimizer_kind kind) {
  switch (kind) {
    case optimizer_kind::sgd: return "sgd";
    case optimizer_kind::adagrad: return "adagrad";
    case optimizer_kind::rowwise_adagrad: return "rowwise_adagrad";
    case optimizer_kind::adam: return "adam";
    case optimizer_kind::adamw: return "adamw";
    case optimizer_kind::partial_rowwise_adam: return "partial_rowwise_adam";
    case optimizer_kind::lamb: return "lamb";
    case optimizer_kind::ftrl: return "ftrl";
  }
  return "?";
}

std::string_view to_string(weight_decay_mode mode) {
  switch (mode) {
    case weight_decay_mode::none: return "none";
    case weight_decay_mode::l2: return "l2";
    case weight_decay_mode::decoupled: return "decoupled";
  }
  return "?";
}

std::string_view to_string(clipping_kind kind) {
  switch (kind) {
    case clipping_kind::none: return "none";
    case clipping_kind::value: return "value";
    case clipping_kind::norm: return "norm";
  }
  return "?";
}

namespace {

/// A NaN fails every comparison, so it is refused by each of these.
void expect(bool holds, const optimizer_options& options, const char* field, float value,
            const char* domain) {
  if (holds) return;
  throw invalid_argument("optimizer " + std::string(to_string(options.kind)) + ": " + field +
                         " = " + std::to_string(value) + ", must be " + domain);
}

}  // namespace

void validate(const optimizer_options& options) {
  const auto at_least_zero = [&](const char* field, float value) {
    expect(value >= 0.0F && std::isfinite(value), options, field, value, "finite and >= 0");
  };
  at_least_zero("learning_rate", options.learning_rate);
  at_least_zero("momentum", options.momentum);
  at_least_zero("eps", options.eps);
  at_least_zero("weight_decay", options.weight_decay);
  at_least_zero("initial_accumulator", options.initial_accumulator);
  at_least_zero("ftrl_beta", options.ftrl_beta);
  at_least_zero("l1", options.l1);
  at_least_zero("l2", options.l2);
  expect(options.beta1 >= 0.0F && options.beta1 < 1.0F, options, "beta1", options.beta1,
         "in [0, 1)");
  expect(options.beta2 >= 0.0F && options.beta2 < 1.0F, options, "beta2", options.beta2,
         "in [0, 1)");
  expect(options.decay_mode != weight_decay_mode::none || options.weight_decay == 0.0F, options,
         "weight_decay", options.weight_decay, "0 when the decay mode is none");
  const bool own_decay =
      options.kind == optimizer_kind::adamw || options.kind == optimizer_kind::lamb;
  expect(!own_decay || options.decay_mode != weight_decay_mode::l2, options, "weight_decay",
         options.weight_decay, "decoupled, not l2, for this kind");
  expect(options.clipping == clipping_kind::none ||
             (options.clipping_limit > 0.0F && std::isfinite(options.clipping_limit)),
         options, "clipping_limit", options.clipping_limit, "finite and > 0");
  expect(options.kind != optimizer_kind::ftrl || options.learning_rate > 0.0F, options,
         "learning_rate", options.learning_rate, "> 0 for ftrl, which divides by it");
}

}  // namespace warpbag
