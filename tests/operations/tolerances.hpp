// SPDX-License-Identifier: Apache-2.0
#pragma once
// How far a backend may be from the double-precision reference. u = 2^-24.
//
// Pooling. A bag of n lookups adds n terms w x with fma: the products are not rounded, every
// accumulator starts at +0, so in any order at most n additions round one output element, and the
// error is at most gamma_n sum |w x| with gamma_n = n u / (1 - n u) (Higham, Accuracy and
// Stability, section 4.2). A mean divides once more: gamma_(n+1). Both are below 2 (n + 1) u for n
// u < 1/2.
//
// Everything else (gradients, optimizer steps, max_norm) carries the bound that the reference
// computed beside its value, operation by operation (src/reference/estimate.hpp).
//
// Storing rounds once: half a last place to nearest even, a whole one stochastically. The last
// place of a normal number with p significant bits is at most 2^(1 - p) of it; below the smallest
// normal it is constant.

#include <cmath>
#include <cstdint>

#include "reference/estimate.hpp"
#include "warpbag/types.hpp"

namespace warpbag {

inline double pooling_bound(std::int64_t lookups, double magnitude) {
  return 2.0 * (static_cast<double>(lookups) + 1.0) * 0x1p-24 * magnitude;
}

/// A whole last place of `type` at `value`; 0 for f32, whose rounding the bounds above hold.
inline double last_place(dtype type, double value) {
  switch (type) {
    case dtype::f32: return 0.0;
    case dtype::f16: return std::abs(value) * 0x1p-10 + 0x1p-24;
    case dtype::bf16: return std::abs(value) * 0x1p-7 + 0x1p-133;
  }
  return 0.0;
}

/// Bound on |stored - exact| when the unrounded value may be off by `error`.
inline double stored_bound(dtype type, double exact, double error, bool stochastic = false) {
  const double place = last_place(type, std::abs(exact) + error);
  return error + (stochastic ? place : place / 2.0);
}

inline double stored_bound(dtype type, const reference::estimate& exact, bool stochastic = false) {
  return stored_bound(type, exact.value, exact.error, stochastic);
}

}  // namespace warpbag
