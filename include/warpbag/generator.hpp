// SPDX-License-Identifier: Apache-2.0
#pragma once
// Made-up interactions whose labels follow a known factorization machine.

#include <cstdint>
#include <vector>

#include "warpbag/dataset.hpp"
#include "warpbag/export.hpp"

namespace warpbag {

/// Ids follow a power law: P(id = k) is proportional to (k + 1)^-exponent, so id 0 is the most
/// frequent.
struct generator_options {
  std::int64_t num_samples = 1'000'000;
  std::int64_t num_users = 50'000;
  std::int64_t num_items = 10'000;
  double exponent = 1.05;            ///< 0 ... 10; 0 is uniform, 1 is Zipf's law
  std::int32_t history_length = 20;  ///< bags hold 0 ... so many items, uniformly; 0: no `history`
  std::int32_t dim = 8;              ///< 1 ... 1024, of the planted vectors
  std::uint64_t seed = 1;
};

struct planted_dataset {
  /// Features user, item, history (multi-hot, shares the table `item`), as the rating formats have
  /// them; timestamps are the sample numbers.
  dataset samples;
  /// The logit that each label was drawn from: the AUC of these is the best that any model can
  /// reach.
  std::vector<float> logits;
};

/// Draws the samples. The planted model is logit = w_user + w_item + <v_user, v_item> + <v_user, h>
/// + <v_item, h>, where h is the mean vector of the history; P(label = 1) = sigmoid(logit). Weights
/// w are uniform with variance 1, elements of v uniform with variance 1 / sqrt(dim), so that an
/// inner product has variance 1. Every number is a function of (seed, what it is for, its index) by
/// Philox4x32-10 and IEEE arithmetic in fixed order: the same options give the same bytes on every
/// machine. Throws invalid_argument, naming the option and its value, for a count < 1 or over 2^32
/// - 1 ids and for the others outside the ranges above; history_length at most 65535.
WARPBAG_EXPORT planted_dataset generate_dataset(const generator_options& options);

}  // namespace warpbag
