// SPDX-License-Identifier: Apache-2.0
#pragma once
// First values of a table, keyed by (seed, table, row, column) (N5): the same whatever the device,
// thread or order.

#include "numerics/elementary.hpp"
#include "numerics/philox.hpp"

namespace warpbag::numerics {

enum class init_kind : std::uint8_t { zero, uniform, normal };

/// zero; uniform in (-scale, scale); normal with standard deviation `scale`. Rounded once to fp32.
WARPBAG_HOST_DEVICE float initial_value(init_kind kind, float scale, std::uint32_t word) {
  if (kind == init_kind::zero) return 0.0F;
  const double u = unit_interval(word);
  const double unit = kind == init_kind::uniform ? 2.0 * u - 1.0 : normal_quantile(u);
  return static_cast<float>(unit * static_cast<double>(scale));
}

}  // namespace warpbag::numerics
