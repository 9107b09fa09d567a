// SPDX-License-Identifier: Apache-2.0
// cvt between scalar types.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

struct F16Tag {};
struct BF16Tag {};
template <class S>
struct Storage {
  using type = S;
};
template <>
struct Storage<F16Tag> {
  using type = uint16_t;
};
template <>
struct Storage<BF16Tag> {
  using type = uint16_t;
};
template <class S>
constexpr bool kIsFloat = false;
template <>
constexpr bool kIsFloat<float> = true;
template <>
constexpr bool kIsFloat<double> = true;
template <>
constexpr bool kIsFloat<F16Tag> = true;
template <>
constexpr bool kIsFloat<BF16Tag> = true;

template <class S>
double to_double(typename Storage<S>::type v) {
  if constexpr (std::is_same_v<S, F16Tag>)
    return Half::decode(v);
  else if constexpr (std::is_same_v<S, BF16Tag>)
    return Bf16::decode(v);
  else
    return double(v);
}

// NaN and signed zero kept; mode as ToInt
inline double to_integral(double v, ToInt mode) {
  switch (mode) {
    case ToInt::rni: return __builtin_rint(v);
    case ToInt::rzi: return __builtin_trunc(v);
    case ToInt::rmi: return __builtin_floor(v);
    case ToInt::rpi: return __builtin_ceil(v);
    case ToInt::none: break;
  }
  return v;
}

template <class D>
D double_to_int(double r, bool wide_nan) {
  constexpr bool kSigned = D(-1) < D(0);
  constexpr int kBits = sizeof(D) * 8;
  if (r != r) return wide_nan ? D(D(1) << (kBits - 1)) : D(0);
  double hi = __builtin_ldexp(1.0, kSigned ? kBits - 1 : kBits), lo = kSigned ? -hi : 0.0;
  if (r >= hi) return kSigned ? D(~(uint64_t(1) << (kBits - 1))) : D(~uint64_t(0));
  if (r <= lo) return kSigned ? D(uint64_t(1) << (kBits - 1)) : D(0);
  if constexpr (kSigned)
    return D(int64_t(r));
  else
    return D(uint64_t(r));
}

template <class D>
uint16_t encode_half(double v, const Op& o) {
  bool satfinite = o.sub2 & 2;
  if constexpr (std::is_same_v<D, F16Tag>)
    return uint16_t(encode_float<5, 10>(v, int(o.rnd), satfinite));
  else
    return uint16_t(encode_float<8, 7>(v, int(o.rnd), satfinite));
}

template <class D, class S>
D int_to_int(const Op& o, S v) {
  if (!o.sat) return D(v);
  constexpr bool kSigned = D(-1) < D(0);
  constexpr int kBits = sizeof(D) * 8;
  __int128 x = v, hi = (__int128(1) << (kSigned ? kBits - 1 : kBits)) - 1,
           lo = kSigned ? -hi - 1 : 0;
  return D(x > hi ? hi : x < lo ? lo : x);
}

template <class D, class S>
D float_to_int(const Op& o, typename Storage<S>::type v) {
  if constexpr (std::is_same_v<S, float>) {
    if (o.ftz) v = ftz(v);
  }
  // The wide NaN result holds when either side is 64 bits.
  bool wide_nan = sizeof(D) == 8 || std::is_same_v<S, double>;
  return double_to_int<D>(to_integral(to_double<S>(v), ToInt(o.sub)), wide_nan);
}

// Rounds once: a double cannot hold every 64-bit integer, so the bits it would lose become a sticky
// bit.
template <class S>
double int_to_double_sticky(S v) {
  if constexpr (sizeof(S) < 8) {
    return double(v);
  } else {
    bool neg = S(-1) < S(0) && v < 0;
    uint64_t u = neg ? 0 - uint64_t(v) : uint64_t(v);
    double r = u >> 53 ? double((u >> 11) | ((u & 0x7FF) != 0)) * 2048.0 : double(u);
    return neg ? -r : r;
  }
}

template <class D, class S>
typename Storage<D>::type int_to_float(const Op& o, S v) {
  if constexpr (std::is_floating_point_v<D>) {
    D r = D(v);
    return o.sat ? sat01(r) : r;
  } else {
    double r = int_to_double_sticky(v);
    return encode_half<D>(o.sat ? sat01(r) : r, o);
  }
}

template <class D, class S>
typename Storage<D>::type float_to_float(const Op& o, typename Storage<S>::type v) {
  if constexpr (std::is_same_v<S, float>) {
    if (o.ftz) v = ftz(v);
  }
  if constexpr (std::is_same_v<D, double>) {
    double r = to_double<S>(v);
    if constexpr (std::is_same_v<S, double>) r = to_integral(v, ToInt(o.sub));
    return o.sat ? sat01(r) : r;
  } else if constexpr (std::is_same_v<D, float>) {
    float r;
    if constexpr (std::is_same_v<S, float>)
      r = float(to_integral(double(v), ToInt(o.sub)));
    else
      r = float(to_double<S>(v));
    r = canon(r);
    if (o.ftz) r = ftz(r);
    if (o.sub2 & 1) r = relu(r);
    return o.sat ? sat01(r) : r;
  } else {
    double r = to_double<S>(v);
    if (std::is_same_v<D, S>) r = to_integral(r, ToInt(o.sub));
    if (o.sat) r = sat01(r);
    if (o.sub2 & 1) r = relu(r);
    return encode_half<D>(r, o);
  }
}

template <class D, class S>
typename Storage<D>::type convert(const Op& o, typename Storage<S>::type v) {
  if constexpr (kIsFloat<D> && kIsFloat<S>)
    return float_to_float<D, S>(o, v);
  else if constexpr (kIsFloat<D>)
    return int_to_float<D, S>(o, v);
  else if constexpr (kIsFloat<S>)
    return float_to_int<D, S>(o, v);
  else
    return int_to_int<D, S>(o, v);
}

// ------------------------------------------------- registers wider than the type

template <int kBytes>
struct UintOf;
template <>
struct UintOf<1> {
  using type = uint8_t;
};
template <>
struct UintOf<2> {
  using type = uint16_t;
};
template <>
struct UintOf<4> {
  using type = uint32_t;
};
template <>
struct UintOf<8> {
  using type = uint64_t;
};

// The lanes of a register of the given width as T, from the low bits of a wider register.
template <class T>
const T* widened_in(Lanes& l, uint32_t ref, uint8_t width, T* t) {
  using U = typename UintOf<sizeof(T)>::type;
  auto low_bits = [t](const auto* s) {
    LANES t[i] = bits_as<T>(U(s[i]));
    return t;
  };
  if (width == sizeof(T)) return at<T>(l, ref);
  switch (width) {
    case 1: return low_bits(at<uint8_t>(l, ref));
    case 2: return low_bits(at<uint16_t>(l, ref));
    case 4: return low_bits(at<uint32_t>(l, ref));
    default: return low_bits(at<uint64_t>(l, ref));
  }
}

// Writes results of type T to registers of the given width, extending by T's signedness.
template <class T>
void widened_out(Lanes& l, uint32_t ref, uint8_t width, const T* t, uint32_t m) {
  if (width == sizeof(T)) return commit(at<T>(l, ref), t, m);
  if constexpr (!std::is_floating_point_v<T>) {
    auto extend = [&]<class R>(R* d) {
      alignas(64) R v[32];
      LANES v[i] = R(t[i]);
      commit(d, v, m);
    };
    switch (width) {
      case 2: return extend(at<uint16_t>(l, ref));
      case 4: return extend(at<uint32_t>(l, ref));
      case 8: return extend(at<uint64_t>(l, ref));
      default: break;
    }
  } else if constexpr (sizeof(T) == 4) {
    alignas(64) uint64_t v[32];
    LANES v[i] = bits_as<uint32_t>(t[i]);
    commit(at<uint64_t>(l, ref), v, m);
  }
}

template <class D, class S>
void cvt_slow(Lanes& l, const Op& o, uint32_t m) {
  using DS = typename Storage<D>::type;
  using SS = typename Storage<S>::type;
  alignas(64) SS ts[32];
  alignas(64) DS td[32];
  const SS* s = widened_in<SS>(l, o.a, o.aw, ts);
  {
    RoundGuard guard(o.rnd);
    for (int i = 0; i < 32; ++i) td[i] = convert<D, S>(o, s[i]);
  }
  widened_out<DS>(l, o.d, o.dw, td, m);
}
// Plain integer conversion, and integer to float: vectorised.
template <class D, class S>
void cvt_fast(Lanes& l, const Op& o, uint32_t m) {
  alignas(64) S ts[32];
  alignas(64) D td[32];
  const S* s = widened_in<S>(l, o.a, o.aw, ts);
  LANES td[i] = D(s[i]);
  widened_out<D>(l, o.d, o.dw, td, m);
}

template <class D, class S>
Fn cvt_pick(const Op& o) {
  if constexpr (!kIsFloat<S> && !kIsFloat<D>) {
    if (!o.sat) return cvt_fast<D, S>;
  }
  if constexpr (!kIsFloat<S> && (std::is_same_v<D, float> || std::is_same_v<D, double>)) {
    if (!o.sat && (o.rnd == Rnd::rn)) return cvt_fast<D, S>;
  }
  return cvt_slow<D, S>;
}
template <class D>
Fn cvt_from(const Op& o) {
  switch (o.ty2) {
    case Ty::u8:
    case Ty::b8: return cvt_pick<D, uint8_t>(o);
    case Ty::s8: return cvt_pick<D, int8_t>(o);
    case Ty::u16:
    case Ty::b16: return cvt_pick<D, uint16_t>(o);
    case Ty::s16: return cvt_pick<D, int16_t>(o);
    case Ty::u32:
    case Ty::b32: return cvt_pick<D, uint32_t>(o);
    case Ty::s32: return cvt_pick<D, int32_t>(o);
    case Ty::u64:
    case Ty::b64: return cvt_pick<D, uint64_t>(o);
    case Ty::s64: return cvt_pick<D, int64_t>(o);
    case Ty::f16: return cvt_pick<D, F16Tag>(o);
    case Ty::bf16: return cvt_pick<D, BF16Tag>(o);
    case Ty::f32: return cvt_pick<D, float>(o);
    case Ty::f64: return cvt_pick<D, double>(o);
    default: return nullptr;
  }
}

Fn cvt_function(const Op& o) {
  switch (o.ty) {
    case Ty::u8:
    case Ty::b8: return cvt_from<uint8_t>(o);
    case Ty::s8: return cvt_from<int8_t>(o);
    case Ty::u16:
    case Ty::b16: return cvt_from<uint16_t>(o);
    case Ty::s16: return cvt_from<int16_t>(o);
    case Ty::u32:
    case Ty::b32: return cvt_from<uint32_t>(o);
    case Ty::s32: return cvt_from<int32_t>(o);
    case Ty::u64:
    case Ty::b64: return cvt_from<uint64_t>(o);
    case Ty::s64: return cvt_from<int64_t>(o);
    case Ty::f16: return cvt_from<F16Tag>(o);
    case Ty::bf16: return cvt_from<BF16Tag>(o);
    case Ty::f32: return cvt_from<float>(o);
    case Ty::f64: return cvt_from<double>(o);
    default: return nullptr;
  }
}

}  // namespace

Fn find_convert(Alu op, const Op& o) {
  if (op != Alu::cvt || o.ty == Ty::tf32) return find_convert_special(op);
  return cvt_function(o);
}

}  // namespace cudasim::CUDASIM_ISA
