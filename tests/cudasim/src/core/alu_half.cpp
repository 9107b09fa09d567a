// SPDX-License-Identifier: Apache-2.0
// Arithmetic on f16, bf16 and their pairs: computed in double, rounded once.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

// a*b+c rounded to odd in double, for one final rounding to a narrower format
inline double odd_sum(double p, double c) {
  double s = p + c;
  if (s - s != 0) return s;
  double bb = s - p, err = (p - (s - bb)) + (c - bb);
  uint64_t u = bits_as<uint64_t>(s);
  if (err != 0 && !(u & 1)) {
    bool toward_zero = (err < 0) == (s > 0);
    u = toward_zero ? u - 1 : u + 1;
    if (s == 0) return s;
  }
  return bits_as<double>(u);
}

template <class H>
uint16_t finish(const Op& o, uint16_t r) {
  if (hnan<H>(r)) r = H::kNan;
  if (o.ftz) r = hftz<H>(r);
  if (o.sat) r = hnan<H>(r) || (r & 0x8000) ? 0 : r > H::kOne ? H::kOne : r;
  if (o.sub2 & 1) r = hnan<H>(r) ? r : r & 0x8000 ? 0 : r;  // .relu
  return r;
}
template <class H>
uint16_t half_minmax(const Op& o, uint16_t a, uint16_t b, bool max) {
  uint16_t sign = uint16_t((a ^ b) & 0x8000);
  if (o.sub & 6) a &= 0x7FFF, b &= 0x7FFF;
  bool na = hnan<H>(a), nb = hnan<H>(b);
  uint16_t r;
  if (na || nb)
    r = (na && nb) || (o.sub & 1) ? H::kNan : na ? b : a;
  else {
    auto key = [](uint16_t h) { return h & 0x8000 ? -int(h & 0x7FFF) - 1 : int(h); };
    bool first = max ? key(a) >= key(b) : key(a) <= key(b);
    r = first ? a : b;
  }
  if (o.sub & 2) r = uint16_t((r & 0x7FFF) | sign);
  return r;
}

// Applies a 16-bit function to the halves of T (uint16_t or uint32_t).
template <class T, class F>
T halves1(const Op& o, T a, F f) {
  if constexpr (sizeof(T) == 2)
    return f(o, a);
  else
    return uint32_t(f(o, uint16_t(a))) | uint32_t(f(o, uint16_t(a >> 16))) << 16;
}
template <class T, class F>
T halves2(const Op& o, T a, T b, F f) {
  if constexpr (sizeof(T) == 2)
    return f(o, a, b);
  else
    return uint32_t(f(o, uint16_t(a), uint16_t(b))) |
           uint32_t(f(o, uint16_t(a >> 16), uint16_t(b >> 16))) << 16;
}
template <class T, class F>
T halves3(const Op& o, T a, T b, T c, F f) {
  if constexpr (sizeof(T) == 2)
    return f(o, a, b, c);
  else
    return uint32_t(f(o, uint16_t(a), uint16_t(b), uint16_t(c))) |
           uint32_t(f(o, uint16_t(a >> 16), uint16_t(b >> 16), uint16_t(c >> 16))) << 16;
}

template <class H, class T>
Fn half_function(Alu op) {
#define H1(expr)                                                         \
  return each1<T, T>([](const Op& mode, T a) {                           \
    return halves1<T>(mode, a, [](const Op& o, uint16_t x) -> uint16_t { \
      if (o.ftz) x = hftz<H>(x);                                         \
      return finish<H>(o, expr);                                         \
    });                                                                  \
  })
#define H2(expr)                                                                        \
  return each2<T, T, T>([](const Op& mode, T a, T b) {                                  \
    return halves2<T>(mode, a, b, [](const Op& o, uint16_t x, uint16_t y) -> uint16_t { \
      if (o.ftz) x = hftz<H>(x), y = hftz<H>(y);                                        \
      return finish<H>(o, expr);                                                        \
    });                                                                                 \
  })
#define H3(expr)                                                                        \
  return each3<T, T, T, T>([](const Op& mode, T a, T b, T c) {                          \
    return halves3<T>(mode, a, b, c,                                                    \
                      [](const Op& o, uint16_t x, uint16_t y, uint16_t z) -> uint16_t { \
                        if (o.ftz) x = hftz<H>(x), y = hftz<H>(y), z = hftz<H>(z);      \
                        return finish<H>(o, expr);                                      \
                      });                                                               \
  })
  switch (op) {
    case Alu::add: H2(H::encode(odd_sum(H::decode(x), H::decode(y)), int(o.rnd)));
    case Alu::sub: H2(H::encode(odd_sum(H::decode(x), -H::decode(y)), int(o.rnd)));
    case Alu::mul: H2(H::encode(H::decode(x) * H::decode(y), int(o.rnd)));
    case Alu::fma: H3(H::encode(odd_sum(H::decode(x) * H::decode(y), H::decode(z)), int(o.rnd)));
    case Alu::abs: H1(uint16_t(x & 0x7FFF));
    case Alu::neg: H1(uint16_t(x ^ 0x8000));
    case Alu::min: H2(half_minmax<H>(o, x, y, false));
    case Alu::max: H2(half_minmax<H>(o, x, y, true));
    case Alu::ex2: H1(H::encode(__builtin_exp2(H::decode(x))));
    case Alu::tanh: H1(H::encode(__builtin_tanh(H::decode(x))));
    default: return nullptr;
  }
#undef H1
#undef H2
#undef H3
}

}  // namespace

Fn find_half(Alu op, const Op& o) {
  switch (o.ty) {
    case Ty::f16: return half_function<Half, uint16_t>(op);
    case Ty::f16x2: return half_function<Half, uint32_t>(op);
    case Ty::bf16: return half_function<Bf16, uint16_t>(op);
    case Ty::bf16x2: return half_function<Bf16, uint32_t>(op);
    default: return nullptr;
  }
}

}  // namespace cudasim::CUDASIM_ISA
