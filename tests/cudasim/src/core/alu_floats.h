// SPDX-License-Identifier: Apache-2.0
// Floating-point helpers of the arithmetic: flushing, saturation, NaNs, and the 16-bit formats.
#pragma once

#include "alu_lanes.h"

namespace cudasim::CUDASIM_ISA {
namespace {

inline float ftz(float x) {
  uint32_t u = bits_as<uint32_t>(x);
  return bits_as<float>((u & 0x7F800000u) == 0 ? u & 0x80000000u : u);
}
inline float canon(float x) { return x != x ? bits_as<float>(0x7FFFFFFFu) : x; }
inline double canon(double x) { return x; }
template <class T>
inline T sat01(T x) {
  return x >= T(1) ? T(1) : x > T(0) ? x : T(0);
}

template <class T>
inline T relu(T x) {
  return x != x || x > 0 ? x : T(0);
}

// Values going in and coming out of a float instruction.
template <bool kFtz, class T>
inline T fin(T x) {
  if constexpr (kFtz && sizeof(T) == 4) return ftz(x);
  return x;
}
template <bool kFtz, bool kSat, class T>
inline T fout(T x) {
  x = canon(x);
  if constexpr (kFtz && sizeof(T) == 4) x = ftz(x);
  if constexpr (kSat) x = sat01(x);
  return x;
}

struct Half {
  static double decode(uint16_t h) { return half_to_float(h); }
  static uint16_t encode(double v, int rnd = 0) {
    return uint16_t(encode_float<5, 10>(v, rnd, false));
  }
  static constexpr uint16_t kMin = 0x0400, kNan = 0x7FFF, kOne = 0x3C00, kInf = 0x7C00;
};
struct Bf16 {
  static double decode(uint16_t h) { return bf16_to_float(h); }
  static uint16_t encode(double v, int rnd = 0) {
    return uint16_t(encode_float<8, 7>(v, rnd, false));
  }
  static constexpr uint16_t kMin = 0x0080, kNan = 0x7FFF, kOne = 0x3F80, kInf = 0x7F80;
};

template <class H>
uint16_t hftz(uint16_t h) {
  return (h & 0x7FFF) < H::kMin ? h & 0x8000 : h;
}
template <class H>
bool hnan(uint16_t h) {
  return (h & 0x7FFF) > H::kInf;
}

}  // namespace
}  // namespace cudasim::CUDASIM_ISA
