// SPDX-License-Identifier: Apache-2.0
#pragma once
// Optimizers that run inside backward, on the rows a batch touched ("fused": no gradient is
// materialised). Rows that a batch does not touch keep their weights and their state: weight decay
// and momentum act on touched rows only, as in FBGEMM's table-batched embeddings and
// torch.optim.SparseAdam. `t` counts optimizer steps. docs/numerics.md gives each formula with its
// rounding; src/numerics/optimizer_rules.hpp is its one implementation.

#include <cstdint>
#include <string_view>

#include "warpbag/export.hpp"

namespace warpbag {

enum class optimizer_kind : std::uint8_t {
  sgd,                   ///< torch.optim.SGD; state 0: momentum [rows, dim] when momentum != 0
  adagrad,               ///< torch.optim.Adagrad (no lr_decay); state 0: sum of squares [rows, dim]
  rowwise_adagrad,       ///< FBGEMM EXACT_ROWWISE_ADAGRAD; state 0: sum of mean squares [rows]
  adam,                  ///< torch.optim.Adam on touched rows; states: m, v [rows, dim]
  adamw,                 ///< torch.optim.AdamW on touched rows; states: m, v [rows, dim]
  partial_rowwise_adam,  ///< FBGEMM PARTIAL_ROWWISE_ADAM; states: m [rows, dim], v [rows]
  lamb,                  ///< FBGEMM LAMB, one trust ratio per row; states: m, v [rows, dim]
  ftrl                   ///< FTRL-Proximal (McMahan et al. 2013); states: z, n [rows, dim]
};

/// none: weight_decay must be 0. l2: g += weight_decay * w, before everything else. decoupled: w *=
/// 1 - lr * weight_decay. adamw and lamb have a decay of their own: they take `decoupled` (lamb:
/// inside the trust ratio) or `none`.
enum class weight_decay_mode : std::uint8_t { none, l2, decoupled };

/// Acts on the finished gradient of a row (after mean, weights and frequency scaling, before weight
/// decay). value: each element is clamped to [-limit, limit]. norm: a row whose L2 norm is over
/// `limit` is scaled by limit / norm.
enum class clipping_kind : std::uint8_t { none, value, norm };

/// Options of one table's optimizer. Fields that a kind does not use are ignored and keep their
/// defaults.
struct optimizer_options {
  optimizer_kind kind = optimizer_kind::sgd;
  float learning_rate =
      0.01F;              ///< starting value; the running value is read from memory at each step
  float momentum = 0.0F;  ///< sgd
  float beta1 = 0.9F;     ///< adam family
  float beta2 = 0.999F;
  float eps = 1e-8F;
  float initial_accumulator = 0.0F;  ///< adagrad, rowwise_adagrad, ftrl (n)
  float ftrl_beta = 0.0F;
  float l1 = 0.0F;  ///< ftrl
  float l2 = 0.0F;  ///< ftrl: the proximal term, not weight decay
  weight_decay_mode decay_mode = weight_decay_mode::none;
  float weight_decay = 0.0F;
  clipping_kind clipping = clipping_kind::none;
  float clipping_limit = 0.0F;
  bool stochastic_rounding =
      false;  ///< f16 and bf16 rows: round by Philox(seed, table, row, column, step)
  friend bool operator==(const optimizer_options&, const optimizer_options&) = default;
};

/// Shape of an optimizer state: one fp32 per element of the table, one per row, or not there.
enum class state_shape : std::uint8_t { absent, per_row, per_element };

/// Shape of state `index` (0 or 1) of this optimizer.
WARPBAG_EXPORT state_shape optimizer_state_shape(const optimizer_options& options, int index);

/// Name of state `index` as it stands in checkpoints: "momentum", "sum", "exp_avg", "exp_avg_sq",
/// "z", "n".
WARPBAG_EXPORT std::string_view optimizer_state_name(const optimizer_options& options, int index);

WARPBAG_EXPORT std::string_view to_string(optimizer_kind kind);
WARPBAG_EXPORT std::string_view to_string(weight_decay_mode mode);
WARPBAG_EXPORT std::string_view to_string(clipping_kind kind);

/// Throws invalid_argument when a field is outside its domain (negative rates, betas outside [0,
/// 1), NaN, a decay mode the kind does not have, clipping without a positive limit).
WARPBAG_EXPORT void validate(const optimizer_options& options);

/// What an optimizer reads at run time, one per table, in memory of the table's device: a captured
/// CUDA graph sees new values.
struct step_state {
  float learning_rate = 0.0F;
  float reserved = 0.0F;
  std::uint64_t step = 0;    ///< optimizer steps done
  double beta1_power = 1.0;  ///< beta1^step, multiplied once a step (design N6)
  double beta2_power = 1.0;
};

}  // namespace warpbag
