// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic, with carry chains and pairs of 16-bit integers.
#include "alu_lanes.h"

namespace cudasim::CUDASIM_ISA {
namespace {

template <class T>
T idiv(T a, T b) {
  using U = Unsigned<T>;
  if (b == 0) return T(~U(0));
  if (T(-1) < T(0) && b == T(-1)) return T(U(0) - U(a));
  return T(a / b);
}
template <class T>
T irem(T a, T b) {
  if (b == 0) return a;
  if (T(-1) < T(0) && b == T(-1)) return 0;
  return T(a % b);
}

template <class T>
Fn int_function(Alu op, const Op& o) {
  using W = Wide<T>;
  using U = Unsigned<T>;
  constexpr int kBits = sizeof(T) * 8;
  switch (op) {
    case Alu::add:
      if (o.sat)
        return map2<T, T, T>([](T a, T b) {
          T r;
          return __builtin_add_overflow(a, b, &r)
                     ? T(T(U(1) << (kBits - 1)) + (a >= 0 ? T(-1) : T(0)))
                     : r;
        });
      return map2<T, T, T>([](T a, T b) { return T(U(a) + U(b)); });
    case Alu::sub:
      if (o.sat)
        return map2<T, T, T>([](T a, T b) {
          T r;
          return __builtin_sub_overflow(a, b, &r)
                     ? T(T(U(1) << (kBits - 1)) + (a >= 0 ? T(-1) : T(0)))
                     : r;
        });
      return map2<T, T, T>([](T a, T b) { return T(U(a) - U(b)); });
    case Alu::mul: return map2<T, T, T>([](T a, T b) { return T(W(a) * W(b)); });
    case Alu::mul_hi: return map2<T, T, T>([](T a, T b) { return T((W(a) * W(b)) >> kBits); });
    case Alu::mul_wide:
      if constexpr (sizeof(T) < 8)
        return map2<W, T, T>([](T a, T b) { return W(W(a) * W(b)); });
      else
        return nullptr;
    case Alu::mad: return map3<T, T, T, T>([](T a, T b, T c) { return T(U(W(a) * W(b)) + U(c)); });
    case Alu::mad_hi:
      if (o.sat)
        return map3<T, T, T, T>([](T a, T b, T c) {
          T h = T((W(a) * W(b)) >> kBits), r;
          return __builtin_add_overflow(h, c, &r)
                     ? T(T(U(1) << (kBits - 1)) + (c >= 0 ? T(-1) : T(0)))
                     : r;
        });
      return map3<T, T, T, T>([](T a, T b, T c) { return T(U((W(a) * W(b)) >> kBits) + U(c)); });
    case Alu::mad_wide:
      if constexpr (sizeof(T) < 8) {
        using WU = Wide<U>;
        return map3<W, T, T, W>([](T a, T b, W c) { return W(WU(W(a) * W(b)) + WU(c)); });
      } else
        return nullptr;
    case Alu::sad:
      return map3<T, T, T, T>(
          [](T a, T b, T c) { return T(U(c) + (a < b ? U(b) - U(a) : U(a) - U(b))); });
    case Alu::div: return map2<T, T, T>([](T a, T b) { return idiv(a, b); });
    case Alu::rem: return map2<T, T, T>([](T a, T b) { return irem(a, b); });
    case Alu::abs: return map1<T, T>([](T a) { return a < 0 ? T(U(0) - U(a)) : a; });
    case Alu::neg: return map1<T, T>([](T a) { return T(U(0) - U(a)); });
    case Alu::min:
      if (o.sub2 & 1)
        return map2<T, T, T>([](T a, T b) {
          T r = a < b ? a : b;
          return r < 0 ? T(0) : r;
        });
      return map2<T, T, T>([](T a, T b) { return a < b ? a : b; });
    case Alu::max:
      if (o.sub2 & 1)
        return map2<T, T, T>([](T a, T b) {
          T r = a > b ? a : b;
          return r < 0 ? T(0) : r;
        });
      return map2<T, T, T>([](T a, T b) { return a > b ? a : b; });
    case Alu::shr:
      return map2<T, T, uint32_t>([](T a, uint32_t n) {
        return n >= uint32_t(kBits) ? (a < 0 ? T(-1) : T(0)) : T(a >> n);
      });
    case Alu::bfind:
      if constexpr (sizeof(T) >= 4)
        return each1<uint32_t, T>([](const Op& mode, T a) -> uint32_t {
          U u = a < 0 ? ~U(a) : U(a);
          if (!u) return ~0u;
          int msb = sizeof(T) == 8 ? 63 - __builtin_clzll(u) : 31 - __builtin_clz(uint32_t(u));
          return uint32_t(mode.sub ? kBits - 1 - msb : msb);
        });
      else
        return nullptr;
    case Alu::bfe:
      if constexpr (sizeof(T) >= 4)
        return map3<T, T, uint32_t, uint32_t>([](T a, uint32_t b, uint32_t c) {
          uint32_t pos = b & 0xFF, len = c & 0xFF;
          if (len == 0) return T(0);
          // a arithmetic in T: bits past the top repeat the sign for signed types
          T v = pos >= uint32_t(kBits) ? (a < 0 ? T(-1) : T(0)) : T(a >> pos);
          if (len >= uint32_t(kBits)) return v;
          return T(T(U(v) << (kBits - int(len))) >> (kBits - int(len)));
        });
      else
        return nullptr;
    default: return nullptr;
  }
}

// Pairs of 16-bit integers.
template <class T>
Fn int_x2(Alu op) {
  using U = uint32_t;
#define X2(expr)                                    \
  return each2<U, U, U>([](const Op& o, U p, U q) { \
    U r = 0;                                        \
    for (int k = 0; k < 2; ++k) {                   \
      T a = T(p >> (16 * k)), b = T(q >> (16 * k)); \
      T v = T(expr);                                \
      if (o.sub2 & 1) v = v < 0 ? T(0) : v;         \
      r |= U(uint16_t(v)) << (16 * k);              \
    }                                               \
    return r;                                       \
  })
  switch (op) {
    case Alu::add: X2(a + b);
    case Alu::min: X2(a < b ? a : b);
    case Alu::max: X2(a > b ? a : b);
    default: return nullptr;
  }
#undef X2
}

// ------------------------------------------------------------ carry chains

// sub: 1 reads CC, 2 writes CC; CC in o.e
template <class T, bool kSub>
void carry_add(Lanes& l, const Op& o, uint32_t m) {
  const T *a = at<T>(l, o.a), *b = at<T>(l, o.b);
  T* d = at<T>(l, o.d);
  uint32_t in = o.sub & 1 ? pred(l, o.e) : 0, out = 0;
  alignas(64) T t[32];
  for (int i = 0; i < 32; ++i) {
    T c = in >> i & 1, r;
    bool f, g;
    if (kSub) {
      f = __builtin_sub_overflow(a[i], b[i], &r);
      g = __builtin_sub_overflow(r, c, &r);
    } else {
      f = __builtin_add_overflow(a[i], b[i], &r);
      g = __builtin_add_overflow(r, c, &r);
    }
    t[i] = r;
    out |= uint32_t(f | g) << i;
  }
  commit(d, t, m);
  if (o.sub & 2) set_pred(l, o.e, out, m);
}
template <class T, bool kHi>
void carry_mad(Lanes& l, const Op& o, uint32_t m) {
  using U = Unsigned<T>;
  using W = Wide<T>;
  const T *a = at<T>(l, o.a), *b = at<T>(l, o.b);
  const U* c = at<U>(l, o.c);
  U* d = at<U>(l, o.d);
  uint32_t in = o.sub & 1 ? pred(l, o.e) : 0, out = 0;
  alignas(64) U t[32];
  for (int i = 0; i < 32; ++i) {
    W w = W(a[i]) * W(b[i]);
    U p = U(kHi ? w >> (sizeof(T) * 8) : w), r;
    bool f = __builtin_add_overflow(p, c[i], &r);
    bool g = __builtin_add_overflow(r, U(in >> i & 1), &r);
    t[i] = r;
    out |= uint32_t(f | g) << i;
  }
  commit(d, t, m);
  if (o.sub & 2) set_pred(l, o.e, out, m);
}

Fn carry_function(Alu op, const Op& o) {
  bool wide = ir::type_bytes(o.ty) == 8;
  switch (op) {
    case Alu::add_cc: return wide ? carry_add<uint64_t, false> : carry_add<uint32_t, false>;
    case Alu::sub_cc: return wide ? carry_add<uint64_t, true> : carry_add<uint32_t, true>;
    case Alu::mad_cc: return wide ? carry_mad<uint64_t, false> : carry_mad<uint32_t, false>;
    default: break;
  }
  switch (o.ty) {
    case Ty::u32: return carry_mad<uint32_t, true>;
    case Ty::s32: return carry_mad<int32_t, true>;
    case Ty::u64: return carry_mad<uint64_t, true>;
    case Ty::s64: return carry_mad<int64_t, true>;
    default: return nullptr;
  }
}

}  // namespace

Fn find_integer(Alu op, const Op& o) {
  if (op == Alu::add_cc || op == Alu::sub_cc || op == Alu::mad_cc || op == Alu::mad_hi_cc)
    return carry_function(op, o);
  switch (o.ty) {
    case Ty::b16:
    case Ty::u16: return int_function<uint16_t>(op, o);
    case Ty::s16: return int_function<int16_t>(op, o);
    case Ty::b32:
    case Ty::u32: return int_function<uint32_t>(op, o);
    case Ty::s32: return int_function<int32_t>(op, o);
    case Ty::b64:
    case Ty::u64: return int_function<uint64_t>(op, o);
    case Ty::s64: return int_function<int64_t>(op, o);
    case Ty::u16x2: return int_x2<uint16_t>(op);
    case Ty::s16x2: return int_x2<int16_t>(op);
    default: return nullptr;
  }
}

}  // namespace cudasim::CUDASIM_ISA
