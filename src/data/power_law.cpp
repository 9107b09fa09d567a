// SPDX-License-Identifier: Apache-2.0
#include "data/power_law.hpp"

#include <algorithm>

#include "numerics/elementary.hpp"

namespace warpbag::data {

power_law::power_law(std::int64_t size, double exponent) {
  sums_.reserve(static_cast<std::size_t>(size));
  double sum = 0.0;
  for (std::int64_t k = 1; k <= size; ++k) {
    sum += numerics::power(static_cast<double>(k), -exponent);
    sums_.push_back(sum);
  }
}

std::int64_t power_law::operator()(double place) const noexcept {
  const auto found = std::upper_bound(sums_.begin(), sums_.end(), place * sums_.back());
  // place * sum may round up to the sum itself.
  return std::min(found - sums_.begin(), static_cast<std::ptrdiff_t>(sums_.size()) - 1);
}

}  // namespace warpbag::data
