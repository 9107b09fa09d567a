// SPDX-License-Identifier: Apache-2.0
#pragma once
// f16 (IEEE binary16) and bf16 as 16-bit patterns: exact widening, rounding to nearest even,
// stochastic rounding.

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

struct f16 {
  std::uint16_t bits;
};
struct bf16 {
  std::uint16_t bits;
};

WARPBAG_HOST_DEVICE float widen(float x) { return x; }

WARPBAG_HOST_DEVICE float widen(bf16 x) {
  return bits_as<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

WARPBAG_HOST_DEVICE float widen(f16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000U) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7FFFU);
  if (magnitude >= 0x7C00U) {  // infinity and NaN: exponent 31 becomes 255
    return bits_as<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  }
  // 2^112 moves the exponent bias from 15 to 127; it also makes subnormals normal, exactly.
  return bits_as<float>(sign | bits_as<std::uint32_t>(bits_as<float>(magnitude << 13) * 0x1p112F));
}

namespace detail {

/// Cuts an fp32 to f16 after adding `offset(shift, kept)` to the bits that are dropped. Without
/// branches, so that compilers make vectors of it.
template <typename Offset>
WARPBAG_HOST_DEVICE f16 to_f16(float x, Offset offset) {
  const std::uint32_t bits = bits_as<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const std::uint32_t exponent = magnitude >> 23;
  // Normal in f16: 13 bits are dropped; a carry moves into the exponent, up to infinity. Subnormal,
  // below 2^-14: value = significand * 2^(exponent - 150), last place 2^-24, so 126 - exponent bits
  // are dropped. Below 2^-32 there is no chance worth 2^-8 of a last place: zero.
  const bool is_normal = exponent >= 113;
  const bool is_zero = exponent < 95;
  const std::uint32_t shift = is_normal || is_zero ? 13U : 126U - exponent;
  const std::uint32_t significand = is_zero ? 0U : (magnitude & 0x7FFFFFU) | 0x800000U;
  const std::uint32_t kept = is_normal ? magnitude - (112U << 23) : significand;
  const std::uint32_t finite = (kept + offset(shift, kept)) >> shift;
  const std::uint32_t special = magnitude > 0x7F800000U ? 0x7E00U : 0x7C00U;  // NaN, infinity
  const bool is_finite = magnitude < 0x47800000U;                             // 65536
  return {static_cast<std::uint16_t>(sign | (is_finite ? finite : special))};
}

/// Nearest, ties to even: half a last place, less one unit when the kept part is even.
struct nearest_even {
  WARPBAG_HOST_DEVICE std::uint32_t operator()(std::uint32_t shift, std::uint32_t kept) const {
    return (1U << (shift - 1U)) - 1U + ((kept >> shift) & 1U);
  }
};

/// Uniform in [0, last place): rounds up with probability (dropped part) / (last place).
struct random_offset {
  std::uint32_t random;
  WARPBAG_HOST_DEVICE std::uint32_t operator()(std::uint32_t shift, std::uint32_t) const {
    return random & ((1U << shift) - 1U);
  }
};

template <typename Offset>
WARPBAG_HOST_DEVICE bf16 to_bf16(float x, Offset offset) {
  const std::uint32_t bits = bits_as<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  if ((bits & 0x7FFFFFFFU) == 0x7F800000U) return {static_cast<std::uint16_t>(bits >> 16)};
  return {static_cast<std::uint16_t>((bits + offset(16U, bits)) >> 16)};
}

}  // namespace detail

/// Rounds to nearest, ties to even. The tag picks the format: narrow<f16>(x).
template <typename Stored>
WARPBAG_HOST_DEVICE Stored narrow(float x) {
  if constexpr (sizeof(Stored) == 4) {
    return x;
  } else if constexpr (__is_same(Stored, f16)) {
    return detail::to_f16(x, detail::nearest_even{});
  } else {
    return detail::to_bf16(x, detail::nearest_even{});
  }
}

/// Stochastic rounding by 32 random bits; fp32 is stored as it is.
template <typename Stored>
WARPBAG_HOST_DEVICE Stored narrow_stochastic(float x, std::uint32_t random) {
  if constexpr (sizeof(Stored) == 4) {
    return x;
  } else if constexpr (__is_same(Stored, f16)) {
    return detail::to_f16(x, detail::random_offset{random});
  } else {
    return detail::to_bf16(x, detail::random_offset{random});
  }
}

}  // namespace warpbag::numerics
