// SPDX-License-Identifier: Apache-2.0
#include "support/draw_optimizer.hpp"

namespace warpbag::support {

optimizer_options draw_optimizer(random_source& random, dtype row_type) {
  optimizer_options o;
  o.kind = random.pick({optimizer_kind::sgd, optimizer_kind::adagrad,
                        optimizer_kind::rowwise_adagrad, optimizer_kind::adam,
                        optimizer_kind::adamw, optimizer_kind::partial_rowwise_adam,
                        optimizer_kind::lamb, optimizer_kind::ftrl});
  o.learning_rate = random.pick({0.001F, 0.01F, 0.1F, 1.0F});
  o.momentum = random.pick({0.0F, 0.9F});
  o.beta1 = random.pick({0.9F, 0.5F, 0.0F});
  o.beta2 = random.pick({0.999F, 0.75F});
  o.eps = random.pick({1e-8F, 1e-3F});
  o.initial_accumulator = random.pick({0.0F, 0.1F});
  if (o.kind == optimizer_kind::ftrl) {
    o.ftrl_beta = random.pick({0.0F, 1.0F});
    o.l1 = random.pick({0.0F, 0.05F});
    o.l2 = random.pick({0.0F, 0.5F});
  }
  const bool own_decay = o.kind == optimizer_kind::adamw || o.kind == optimizer_kind::lamb;
  o.decay_mode = own_decay ? random.pick({weight_decay_mode::none, weight_decay_mode::decoupled})
                           : random.pick({weight_decay_mode::none, weight_decay_mode::l2,
                                          weight_decay_mode::decoupled});
  if (o.decay_mode != weight_decay_mode::none) o.weight_decay = random.pick({0.01F, 0.3F});
  o.clipping = random.pick(
      {clipping_kind::none, clipping_kind::none, clipping_kind::value, clipping_kind::norm});
  if (o.clipping != clipping_kind::none) o.clipping_limit = random.pick({0.05F, 1.0F});
  o.stochastic_rounding = row_type != dtype::f32 && random.chance(0.5);
  return o;
}

}  // namespace warpbag::support
