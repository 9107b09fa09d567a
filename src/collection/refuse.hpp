// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a check of an argument speaks, and the arithmetic of sizes.

#include <cstdint>
#include <sstream>

#include "warpbag/error.hpp"

namespace warpbag::collection {

/// Throws invalid_argument with its parts in a row.
template <typename... Part>
[[noreturn]] void refuse(const Part&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw invalid_argument(text.str());
}

/// Sizes in bytes and elements stay below this, so that sums of two of them cannot overflow.
inline constexpr std::int64_t max_size = std::int64_t{1} << 62;

/// a * b, or -1 where that is max_size or more. a, b >= 0.
inline std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) || product >= max_size ? -1 : product;
}

/// a + b, or -1 where that is max_size or more. a, b >= 0.
inline std::int64_t checked_sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) || sum >= max_size ? -1 : sum;
}

}  // namespace warpbag::collection
