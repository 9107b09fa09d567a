// SPDX-License-Identifier: Apache-2.0
// Cases of arith_test.cpp: a PTX line and a host model written apart from the interpreter.
#pragma once

#include <cfenv>
#include <cmath>

#include "driver.h"

using u128 = unsigned __int128;
using i128 = __int128;
using Model = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;

struct Case {
  std::string ptx;    // with %d %a %b %c
  std::string types;  // result then operands: h w d (16, 32, 64 bits) p (predicate result)
  Model model;
  char pool = 'i';  // operand values: i integers, f f32, g f64, h f16, e bf16, s small shifts
  double ulps = 0;  // tolerance, f32 or f64 by the result's width
};

inline std::vector<Case>& cases() {
  static std::vector<Case> c;
  return c;
}
inline void add(std::string ptx, std::string types, char pool, Model m, double ulps = 0) {
  cases().push_back({ptx, types, m, pool, ulps});
}

inline float f(uint64_t v) {
  uint32_t u = uint32_t(v);
  float x;
  memcpy(&x, &u, 4);
  return x;
}
inline double g(uint64_t v) {
  double x;
  memcpy(&x, &v, 8);
  return x;
}
inline uint64_t fb(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return std::isnan(x) ? 0x7FFFFFFF : u;
}
// PTX leaves the payload of an f64 NaN open: any will do.
inline uint64_t gb(double x) {
  uint64_t u;
  memcpy(&u, &x, 8);
  return u;
}
inline float flush(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}
inline float sat(float x) {
  return std::isnan(x) ? 0.0f : x < 0 ? 0.0f : x > 1 ? 1.0f : x == 0 ? 0.0f : x;
}

// 16-bit floats through 113-bit arithmetic and GCC's own conversions.
inline __float128 hq(uint64_t v) {
  uint16_t u = uint16_t(v);
  _Float16 h;
  memcpy(&h, &u, 2);
  return h;
}
inline uint64_t hb(__float128 v) {
  if (v != v) return 0x7FFF;
  _Float16 h = _Float16(v);
  uint16_t u;
  memcpy(&u, &h, 2);
  return u;
}
inline __float128 bq(uint64_t v) { return f(v << 16); }
inline __float128 g_tail = 0;  // what fused() lost: decides ties
// a*b+c; f16 products and sums are exact in 113 bits, bf16 ones may leave a tail
inline __float128 fused(__float128 a, __float128 b, __float128 c) {
  __float128 p = a * b, s = p + c, t = s - p;
  g_tail = s - s == 0 ? (p - (s - t)) + (c - t) : 0;
  return s;
}
inline uint64_t bb(__float128 v) {  // nearest bf16 by comparing the two neighbours
  __float128 tail = v < 0 ? -g_tail : g_tail;
  g_tail = 0;
  if (v != v) return 0x7FFF;
  bool neg = v < 0 || (v == 0 && std::signbit(double(v)));
  __float128 m = v < 0 ? -v : v;
  uint32_t lo = 0, hi = 0x7F80;  // largest code not above m
  __float128 top = f(0x7F7F0000u), overflow = top + (top - f(0x7F7E0000u)) / 2;
  if (m >= overflow) return (neg ? 0x8000 : 0) | 0x7F80;
  while (hi - lo > 1) {
    uint32_t mid = (lo + hi) / 2;
    if (__float128(f(uint64_t(mid) << 16)) <= m)
      lo = mid;
    else
      hi = mid;
  }
  __float128 a = f(uint64_t(lo) << 16), b = lo == 0x7F7F ? top + (top - f(0x7F7E0000u))
                                                         : __float128(f(uint64_t(lo + 1) << 16));
  uint32_t r = m - a < b - m   ? lo
               : b - m < m - a ? lo + 1
               : tail          ? (tail < 0 ? lo : lo + 1)
               : lo & 1        ? lo + 1
                               : lo;
  return (neg ? 0x8000 : 0) | r;
}

template <class F>
auto rounded(int mode, F body) {
  int old = fegetround();
  fesetround(mode);
  asm volatile("" ::: "memory");
  volatile auto r = body();
  asm volatile("" ::: "memory");
  fesetround(old);
  return decltype(body())(r);
}
const std::pair<const char*, int> kRounds[] = {
    {"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};

inline int64_t sx(uint64_t v, int bits) {
  return bits == 64 ? int64_t(v) : int64_t(v << (64 - bits)) >> (64 - bits);
}
inline uint64_t zx(uint64_t v, int bits) { return bits == 64 ? v : v & ((1ull << bits) - 1); }
inline std::string w3(char c) { return std::string(3, c); }
inline std::string w4(char c) { return std::string(4, c); }

void integer_cases();
void float_cases();
void conversion_cases();
