// SPDX-License-Identifier: Apache-2.0
#pragma once
// Ids whose frequencies fall by a power law.

#include <cstdint>
#include <vector>

namespace warpbag::data {

/// P(id = k) is proportional to (k + 1)^-exponent for k = 0 ... size - 1. Holds the running sums of
/// these: 8 bytes an id.
class power_law {
 public:
  power_law(std::int64_t size, double exponent);

  /// The id at `place` in [0, 1) of the distribution.
  std::int64_t operator()(double place) const noexcept;

 private:
  std::vector<double> sums_;
};

}  // namespace warpbag::data
