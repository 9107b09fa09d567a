// SPDX-License-Identifier: Apache-2.0
// What every file of the arithmetic shares: lane arrays, masks, rounding modes.
//
// The alu_*.cpp files are compiled twice, with CUDASIM_ISA naming the namespace. They use nothing
// from the standard library that a linker could share between the two variants, and everything
// here has internal linkage.
#pragma once

#include <xmmintrin.h>

#include "alu.h"
#include "number_formats.h"

namespace cudasim::CUDASIM_ISA {

// One per file; null when the file does not have the combination.
Fn find_integer(Alu op, const Op& o);
Fn find_bits(Alu op, const Op& o);
Fn find_move(Alu op, const Op& o);
Fn find_float(Alu op, const Op& o);
Fn find_half(Alu op, const Op& o);
Fn find_compare(Alu op, const Op& o);
Fn find_convert(Alu op, const Op& o);
Fn find_convert_special(Alu op);

namespace {

// A loop over the lanes that may be vectorised: registers overlap wholly or not at all.
#define IVDEP _Pragma("GCC ivdep")
#define LANES IVDEP for (int i = 0; i < 32; ++i)

template <class T>
inline T* at(Lanes& l, uint32_t ref) {
  return static_cast<T*>(__builtin_assume_aligned(l.base[ref & 3] + (ref & ~3u), 32));
}
inline uint32_t& pred(Lanes& l, uint32_t ref) {
  return *reinterpret_cast<uint32_t*>(l.base[ref & 3] + (ref & ~3u));
}
inline uint32_t pred_in(Lanes& l, uint32_t ref, bool negate) {
  return negate ? ~pred(l, ref) : pred(l, ref);
}
inline void set_pred(Lanes& l, uint32_t ref, uint32_t value, uint32_t mask) {
  if (ref == kNoRef) return;
  uint32_t& p = pred(l, ref);
  p = (p & ~mask) | (value & mask);
}

// Writes the active lanes of t to d.
template <class T>
inline void commit(T* d, const T* t, uint32_t mask) {
  LANES d[i] = mask >> i & 1 ? t[i] : d[i];
}

// d[i] = f(i) for the active lanes; every lane is computed, so f must not trap.
template <class D, class F>
inline __attribute__((always_inline)) void for_lanes(D* d, uint32_t mask, F f) {
  if (mask == ~0u) {
    LANES d[i] = f(i);
  } else {
    alignas(64) D t[32];
    LANES t[i] = f(i);
    commit(d, t, mask);
  }
}

// Sets the SSE rounding mode while it lives.
struct RoundGuard {
  explicit RoundGuard(Rnd r) : active(r == Rnd::rz || r == Rnd::rm || r == Rnd::rp) {
    if (!active) return;
    old = _mm_getcsr();
    uint32_t bits = r == Rnd::rz ? 0x6000 : r == Rnd::rm ? 0x2000 : 0x4000;
    _mm_setcsr((old & ~0x6000u) | bits);
    asm volatile("" ::: "memory");
  }
  ~RoundGuard() {
    if (!active) return;
    asm volatile("" ::: "memory");
    _mm_setcsr(old);
  }
  bool active;
  uint32_t old = 0;
};

// ---------------------------------------------------- elementwise templates

template <class D, class A, class F>
Fn map1(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    for_lanes(at<D>(l, o.d), m, [=](int i) -> D { return F{}(a[i]); });
  };
}
template <class D, class A, class B, class F>
Fn map2(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    const B* b = at<B>(l, o.b);
    for_lanes(at<D>(l, o.d), m, [=](int i) -> D { return F{}(a[i], b[i]); });
  };
}
template <class D, class A, class B, class C, class F>
Fn map3(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    const B* b = at<B>(l, o.b);
    const C* c = at<C>(l, o.c);
    for_lanes(at<D>(l, o.d), m, [=](int i) -> D { return F{}(a[i], b[i], c[i]); });
  };
}

// As above, but the function also sees the Op (modes decided at run time), and
// only the active lanes are computed.
template <class D, class A, class F>
Fn each1(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    D* d = at<D>(l, o.d);
    RoundGuard guard(o.rnd);
    for (; m; m &= m - 1) {
      int i = __builtin_ctz(m);
      d[i] = F{}(o, a[i]);
    }
  };
}
template <class D, class A, class B, class F>
Fn each2(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    const B* b = at<B>(l, o.b);
    D* d = at<D>(l, o.d);
    RoundGuard guard(o.rnd);
    for (; m; m &= m - 1) {
      int i = __builtin_ctz(m);
      d[i] = F{}(o, a[i], b[i]);
    }
  };
}
template <class D, class A, class B, class C, class F>
Fn each3(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const A* a = at<A>(l, o.a);
    const B* b = at<B>(l, o.b);
    const C* c = at<C>(l, o.c);
    D* d = at<D>(l, o.d);
    RoundGuard guard(o.rnd);
    for (; m; m &= m - 1) {
      int i = __builtin_ctz(m);
      d[i] = F{}(o, a[i], b[i], c[i]);
    }
  };
}

// ------------------------------------------------------- types of integers

template <class T>
struct WideOf;
template <>
struct WideOf<uint16_t> {
  using type = uint32_t;
};
template <>
struct WideOf<int16_t> {
  using type = int32_t;
};
template <>
struct WideOf<uint32_t> {
  using type = uint64_t;
};
template <>
struct WideOf<int32_t> {
  using type = int64_t;
};
template <>
struct WideOf<uint64_t> {
  using type = unsigned __int128;
};
template <>
struct WideOf<int64_t> {
  using type = __int128;
};
template <class T>
using Wide = typename WideOf<T>::type;
template <class T>
using Unsigned = std::make_unsigned_t<T>;

}  // namespace
}  // namespace cudasim::CUDASIM_ISA
