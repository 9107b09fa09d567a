// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sanitizers slow these tests down about thirtyfold (no optimisation, every access checked), and
// what they look for is in the first cases as in the last: there the numbers are smaller.

namespace warpbag::support {

#ifdef WARPBAG_SMALL_CASES
inline constexpr bool small_cases = true;
#else
inline constexpr bool small_cases = false;
#endif

template <typename Number>
constexpr Number full_or_small(Number full, Number small) {
  return small_cases ? small : full;
}

}  // namespace warpbag::support
