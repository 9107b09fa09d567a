// SPDX-License-Identifier: Apache-2.0
#pragma once
// The p-norm of a row and the scale that max_norm asks for (torch.nn.functional.embedding_renorm_,
// with |x|^p for every p). norm = (sum_j |x_j|^p)^(1/p), summed in the order of N4 in fp32; p = 1,
// 2 and inf need no power.

#include "numerics/elementary.hpp"
#include "numerics/lane_reduction.hpp"

namespace warpbag::numerics {

enum class norm_kind : std::uint8_t { one, two, infinity, general };

WARPBAG_HOST_DEVICE norm_kind norm_kind_of(float p) {
  if (p == 1.0F) return norm_kind::one;
  if (p == 2.0F) return norm_kind::two;
  return p > 3.4e38F ? norm_kind::infinity : norm_kind::general;
}

/// One step of a lane: the running sum (or maximum) and the next element.
WARPBAG_HOST_DEVICE float accumulate_norm(norm_kind kind, float p, float acc, float x) {
  const float magnitude = absolute(x);
  switch (kind) {
    case norm_kind::one: return acc + magnitude;
    case norm_kind::two: return fused_multiply_add(x, x, acc);
    case norm_kind::infinity: return max_lanes{}(acc, magnitude);
    case norm_kind::general: break;
  }
  return acc + static_cast<float>(power(static_cast<double>(magnitude), static_cast<double>(p)));
}

WARPBAG_HOST_DEVICE float combine_norm(norm_kind kind, float a, float b) {
  return kind == norm_kind::infinity ? max_lanes{}(a, b) : a + b;
}

/// The norm from the combined lanes.
WARPBAG_HOST_DEVICE float finish_norm(norm_kind kind, float p, float combined) {
  switch (kind) {
    case norm_kind::one:
    case norm_kind::infinity: return combined;
    case norm_kind::two: return square_root(combined);
    case norm_kind::general: break;
  }
  return static_cast<float>(power(static_cast<double>(combined), 1.0 / static_cast<double>(p)));
}

/// Factor of a row whose norm is over max_norm, as torch has it; 1 says that the row stays
/// untouched.
WARPBAG_HOST_DEVICE float max_norm_scale(float norm, float max_norm) {
  return norm > max_norm ? max_norm / (norm + 1e-7F) : 1.0F;
}

}  // namespace warpbag::numerics
