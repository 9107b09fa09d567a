// SPDX-License-Identifier: Apache-2.0
// Arithmetic on f32, f64 and f32x2.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

template <class T, bool kFtz, bool kSat, class F>
Fn float2v(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const T* a = at<T>(l, o.a);
    const T* b = at<T>(l, o.b);
    RoundGuard guard(o.rnd);
    for_lanes(at<T>(l, o.d), m,
              [=](int i) { return fout<kFtz, kSat>(F{}(fin<kFtz>(a[i]), fin<kFtz>(b[i]))); });
  };
}
template <class T, bool kFtz, bool kSat, class F>
Fn float3v(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const T* a = at<T>(l, o.a);
    const T* b = at<T>(l, o.b);
    const T* c = at<T>(l, o.c);
    RoundGuard guard(o.rnd);
    for_lanes(at<T>(l, o.d), m, [=](int i) {
      return fout<kFtz, kSat>(F{}(fin<kFtz>(a[i]), fin<kFtz>(b[i]), fin<kFtz>(c[i])));
    });
  };
}
template <class T, class F>
Fn float2(const Op& o, F f) {
  if (o.sat) return o.ftz ? float2v<T, true, true>(f) : float2v<T, false, true>(f);
  return o.ftz ? float2v<T, true, false>(f) : float2v<T, false, false>(f);
}
template <class T, class F>
Fn float3(const Op& o, F f) {
  if (o.sat) return o.ftz ? float3v<T, true, true>(f) : float3v<T, false, true>(f);
  return o.ftz ? float3v<T, true, false>(f) : float3v<T, false, false>(f);
}
// One-operand functions; F takes and returns T, flushing and saturation around it.
template <class T, class F>
Fn float1(F) {
  return each1<T, T>([](const Op& o, T x) {
    if (o.ftz && sizeof(T) == 4) x = T(ftz(float(x)));
    x = canon(F{}(x));
    if (o.ftz && sizeof(T) == 4) x = T(ftz(float(x)));
    return o.sat ? sat01(x) : x;
  });
}

// The first operand when the other is a NaN; of two zeros the one with (min) or without (max) a
// sign.
template <class T>
inline T min_of(T a, T b) {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  if (a != a) return b;
  if (b != b) return a;
  return a < b ? a : b < a ? b : bits_as<T>(U(bits_as<U>(a) | bits_as<U>(b)));
}
template <class T>
inline T max_of(T a, T b) {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  if (a != a) return b;
  if (b != b) return a;
  return a > b ? a : b > a ? b : bits_as<T>(U(bits_as<U>(a) & bits_as<U>(b)));
}

// Op::sub of min/max on floats: bit 0 .NaN, bit 1 .xorsign.abs, bit 2 .abs
template <class T, bool kMax>
T minmax_modes(const Op& o, T a, T b) {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr U kSign = U(1) << (sizeof(T) * 8 - 1);
  if (o.ftz && sizeof(T) == 4) a = T(ftz(float(a))), b = T(ftz(float(b)));
  U sign = (bits_as<U>(a) ^ bits_as<U>(b)) & kSign;
  if (o.sub & 6)
    a = bits_as<T>(U(bits_as<U>(a) & ~kSign)), b = bits_as<T>(U(bits_as<U>(b) & ~kSign));
  T r = (o.sub & 1) && (a != a || b != b) ? (a != a ? a : b) : kMax ? max_of(a, b) : min_of(a, b);
  if (o.sub & 2) r = bits_as<T>(U((bits_as<U>(r) & ~kSign) | sign));
  return canon(r);
}

// testp: the classes in the order the decoder numbers them
template <class T>
void test_property(Lanes& l, const Op& o, uint32_t m) {
  constexpr bool kSingle = sizeof(T) == 4;
  using U = std::conditional_t<kSingle, uint32_t, uint64_t>;
  constexpr U kSign = U(1) << (sizeof(T) * 8 - 1);
  const U* a = at<U>(l, o.a);
  constexpr U kInf = kSingle ? U(0x7F800000u) : U(0x7FF0000000000000ull),
              kMin = kSingle ? U(0x00800000u) : U(0x0010000000000000ull);
  uint32_t r = 0;
  for (int i = 0; i < 32; ++i) {
    U u = a[i] & ~kSign;
    bool t;
    switch (o.sub) {
      case 0: t = u < kInf; break;               // finite
      case 1: t = u == kInf; break;              // infinite
      case 2: t = u <= kInf; break;              // number
      case 3: t = u > kInf; break;               // notanumber
      case 4: t = u >= kMin && u < kInf; break;  // normal
      default: t = u != 0 && u < kMin; break;    // subnormal
    }
    r |= uint32_t(t) << i;
  }
  set_pred(l, o.d, r, m);
}

template <class T>
Fn float_function(Alu op, const Op& o) {
  constexpr bool kSingle = sizeof(T) == 4;
  using U = std::conditional_t<kSingle, uint32_t, uint64_t>;
  constexpr U kSign = U(1) << (sizeof(T) * 8 - 1);
  switch (op) {
    case Alu::add: return float2<T>(o, [](T a, T b) { return a + b; });
    case Alu::sub: return float2<T>(o, [](T a, T b) { return a - b; });
    case Alu::mul: return float2<T>(o, [](T a, T b) { return a * b; });
    case Alu::div: return float2<T>(o, [](T a, T b) { return a / b; });
    case Alu::fma:
      if constexpr (kSingle)
        return float3<T>(o, [](T a, T b, T c) { return __builtin_fmaf(a, b, c); });
      else
        return float3<T>(o, [](T a, T b, T c) { return __builtin_fma(a, b, c); });
    case Alu::min:
      if (o.sub)
        return each2<T, T, T>(
            [](const Op& mode, T a, T b) { return minmax_modes<T, false>(mode, a, b); });
      return float2<T>(o, [](T a, T b) { return min_of(a, b); });
    case Alu::max:
      if (o.sub)
        return each2<T, T, T>(
            [](const Op& mode, T a, T b) { return minmax_modes<T, true>(mode, a, b); });
      return float2<T>(o, [](T a, T b) { return max_of(a, b); });
    case Alu::abs:
      return o.ftz
                 ? map1<T, T>([](T a) { return fin<true>(bits_as<T>(U(bits_as<U>(a) & ~kSign))); })
                 : map1<T, T>([](T a) { return bits_as<T>(U(bits_as<U>(a) & ~kSign)); });
    case Alu::neg:
      return o.ftz ? map1<T, T>([](T a) { return fin<true>(bits_as<T>(U(bits_as<U>(a) ^ kSign))); })
                   : map1<T, T>([](T a) { return bits_as<T>(U(bits_as<U>(a) ^ kSign)); });
    case Alu::copysign:
      return map2<U, U, U>([](U a, U b) { return U((a & kSign) | (b & ~kSign)); });
    case Alu::rcp:
      if (!kSingle && o.sub)  // rcp.approx.ftz.f64: the low word of the result is zero
        return each1<uint64_t, double>(
            [](const Op&, double a) { return bits_as<uint64_t>(1.0 / a) & ~0xFFFFFFFFull; });
      return float1<T>([](T a) { return T(1) / a; });
    case Alu::sqrt:
      if constexpr (kSingle)
        return float1<T>([](T a) { return __builtin_sqrtf(a); });
      else
        return float1<T>([](T a) { return __builtin_sqrt(a); });
    case Alu::rsqrt:
      if (!kSingle && o.ftz)
        return each1<uint64_t, double>([](const Op&, double a) {
          return bits_as<uint64_t>(1.0 / __builtin_sqrt(a)) & ~0xFFFFFFFFull;
        });
      return float1<T>([](T a) { return T(1.0 / __builtin_sqrt(double(a))); });
    case Alu::sin:
      if (!kSingle) return nullptr;
      return float1<T>([](T a) { return T(__builtin_sin(double(a))); });
    case Alu::cos:
      if (!kSingle) return nullptr;
      return float1<T>([](T a) { return T(__builtin_cos(double(a))); });
    case Alu::lg2:
      if (!kSingle) return nullptr;
      return float1<T>([](T a) { return T(__builtin_log2(double(a))); });
    case Alu::ex2:
      if (!kSingle) return nullptr;
      return float1<T>([](T a) { return T(__builtin_exp2(double(a))); });
    case Alu::tanh:
      if (!kSingle) return nullptr;
      return float1<T>([](T a) { return T(__builtin_tanh(double(a))); });
    case Alu::testp: return test_property<T>;
    default: return nullptr;
  }
}

// Packed pairs of float: each register holds two.
template <class F>
Fn float_x2(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const float *a = at<float>(l, o.a), *b = at<float>(l, o.b),
                *c = at<float>(l, o.c == kNoRef ? o.b : o.c);
    float* d = at<float>(l, o.d);
    RoundGuard guard(o.rnd);
    for (int i = 0; i < 64; ++i) {
      if (!(m >> (i / 2) & 1)) continue;
      float x = a[i], y = b[i], z = c[i];
      if (o.ftz) x = ftz(x), y = ftz(y), z = ftz(z);
      float r = canon(F{}(x, y, z));
      d[i] = o.ftz ? ftz(r) : r;
    }
  };
}

Fn float_x2_function(Alu op) {
  switch (op) {
    case Alu::add: return float_x2([](float a, float b, float) { return a + b; });
    case Alu::sub: return float_x2([](float a, float b, float) { return a - b; });
    case Alu::mul: return float_x2([](float a, float b, float) { return a * b; });
    case Alu::fma:
      return float_x2([](float a, float b, float c) { return __builtin_fmaf(a, b, c); });
    default: return nullptr;
  }
}

}  // namespace

Fn find_float(Alu op, const Op& o) {
  switch (o.ty) {
    case Ty::f32: return float_function<float>(op, o);
    case Ty::f64: return float_function<double>(op, o);
    case Ty::f32x2: return float_x2_function(op);
    default: return nullptr;
  }
}

}  // namespace cudasim::CUDASIM_ISA
