// SPDX-License-Identifier: Apache-2.0
// Scalar number formats: conversions between double and the 8 and 16-bit floats.
// Everything here is static: it is compiled into two variants of the arithmetic.
#pragma once

#include <cstdint>
#include <cstring>

namespace cudasim {
namespace {

template <class To, class From>
inline __attribute__((always_inline)) To bits_as(From v) {
  static_assert(sizeof(To) == sizeof(From));
  To t;
  __builtin_memcpy(&t, &v, sizeof t);
  return t;
}

// Encodes a finite-or-not double in a format of E exponent and M mantissa bits
// with IEEE infinities. rnd: 0 nearest even, 1 zero, 2 down, 3 up, 4 nearest away.
template <int E, int M>
uint32_t encode_float(double v, int rnd, bool satfinite) {
  uint64_t u = bits_as<uint64_t>(v);
  uint32_t sign = uint32_t(u >> 63) << (E + M);
  constexpr uint32_t kInf = ((1u << E) - 1) << M;
  u &= ~(1ull << 63);
  if (u > 0x7FF0000000000000ull) return (1u << (E + M)) - 1;  // the canonical NaN has no sign
  if (u == 0x7FF0000000000000ull) return sign | (satfinite ? kInf - 1 : kInf);
  if (u == 0) return sign;
  constexpr int kBias = (1 << (E - 1)) - 1, kMin = 1 - kBias;
  int e = int(u >> 52);
  uint64_t m = u & 0xFFFFFFFFFFFFFull;
  if (e)
    m |= 1ull << 52;
  else
    e = 1;
  e -= 1023;
  int shift = (e > kMin ? e : kMin) - M - (e - 52);
  uint64_t q = shift < 64 ? m >> shift : 0;
  uint64_t rest = shift < 64 ? m & ((1ull << shift) - 1) : m;
  if (rest) {
    bool above, tie;
    if (shift > 60)
      above = tie = false;
    else {
      uint64_t half = 1ull << (shift - 1);
      above = rest > half;
      tie = rest == half;
    }
    bool up = false;
    if (rnd == 0)
      up = above || (tie && (q & 1));
    else if (rnd == 4)
      up = above || tie;
    else if (rnd == 2)
      up = sign;
    else if (rnd == 3)
      up = !sign;
    q += up;
  }
  uint32_t r = e >= kMin ? uint32_t(uint64_t(e - kMin) << M) + uint32_t(q) : uint32_t(q);
  if (r >= kInf) {
    bool to_inf = rnd == 0 || rnd == 4 || (rnd == 2 && sign) || (rnd == 3 && !sign);
    r = to_inf && !satfinite ? kInf : kInf - 1;
  }
  return sign | r;
}

template <int E, int M>
double decode_float(uint32_t b) {
  constexpr int kBias = (1 << (E - 1)) - 1;
  uint32_t sign = b >> (E + M) & 1, e = b >> M & ((1u << E) - 1), m = b & ((1u << M) - 1);
  double v;
  if (e == (1u << E) - 1)
    v = m ? __builtin_nan("") : __builtin_inf();
  else if (e == 0)
    v = __builtin_ldexp(double(m), 1 - kBias - M);
  else
    v = bits_as<double>(uint64_t(int64_t(e) - kBias + 1023) << 52 | uint64_t(m) << (52 - M));
  return sign ? -v : v;
}

inline float half_to_float(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3FF;
  if (e == 31) return m ? bits_as<float>(0x7FFFFFFFu) : bits_as<float>(sign | 0x7F800000u);
  if (e == 0) {
    float f = float(m) * 0x1p-24f;
    return bits_as<float>(bits_as<uint32_t>(f) | sign);
  }
  return bits_as<float>(sign | (e + 112) << 23 | m << 13);
}

inline float bf16_to_float(uint16_t h) { return bits_as<float>(uint32_t(h) << 16); }

inline uint16_t float_to_bf16(float f) {  // to nearest even
  uint32_t u = bits_as<uint32_t>(f);
  if ((u & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
  return uint16_t((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

inline uint16_t float_to_half(float f) { return uint16_t(encode_float<5, 10>(f, 0, false)); }

// e4m3 has no infinity: S.1111.111 is NaN and 448 the largest value.
inline uint8_t encode_e4m3(double v, bool satfinite) {
  uint64_t u = bits_as<uint64_t>(v);
  uint8_t sign = uint8_t(u >> 63) << 7;
  if (v != v) return 0x7F;
  double mag = bits_as<double>(u & ~(1ull << 63));
  if (mag > 464.0) return satfinite ? sign | 0x7E : 0x7F;
  // Five exponent bits have bias 15, e4m3 has 7: scaled by 2^-8 the codes are the same, subnormals
  // included.
  uint32_t code = encode_float<5, 3>(mag * 0x1p-8, 0, true);
  return sign | uint8_t(code > 0x7E ? 0x7E : code);
}

inline double decode_e4m3(uint8_t b) {
  uint32_t e = b >> 3 & 15, m = b & 7;
  if ((b & 0x7F) == 0x7F) return __builtin_nan("");
  double v = e ? __builtin_ldexp(8.0 + m, int(e) - 10) : __builtin_ldexp(double(m), -9);
  return b & 0x80 ? -v : v;
}

}  // namespace
}  // namespace cudasim
