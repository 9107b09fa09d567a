// SPDX-License-Identifier: Apache-2.0
// atom and red.
#include <mutex>

#include "handlers.h"
#include "memory.h"
#include "number_formats.h"
#include "profiler.h"

namespace cudasim {

namespace {

struct U128 {
  uint64_t lo, hi;
};
std::mutex g_wide_lock;  // 16-byte atomics

// One read-modify-write by f(old) -> new; returns old.
template <class T, class F>
T rmw(uint8_t* p, bool shared, F f) {
  T* q = reinterpret_cast<T*>(p);
  if (shared) {
    T old = *q;
    *q = f(old);
    return old;
  }
  T old = __atomic_load_n(q, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(q, &old, f(old), true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
  }
  return old;
}

template <class T>
T int_atomic(AtomOp op, T old, T b, T c) {
  switch (op) {
    case AtomOp::add: return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(b));
    case AtomOp::min: return std::min(old, b);
    case AtomOp::max: return std::max(old, b);
    case AtomOp::inc: return old >= b ? T(0) : T(old + 1);
    case AtomOp::dec: return old == 0 || old > b ? b : T(old - 1);
    case AtomOp::and_: return old & b;
    case AtomOp::or_: return old | b;
    case AtomOp::xor_: return old ^ b;
    case AtomOp::exch: return b;
    case AtomOp::cas: return old == b ? c : old;
  }
  return old;
}

float canonical(float x) { return x != x ? bits_as<float>(0x7FFFFFFFu) : x; }
double canonical(double x) { return x; }

// Of one NaN and one number, min and max take the number.
template <class T>
T float_atomic(AtomOp op, T old, T b) {
  if (op == AtomOp::add) return canonical(old + b);
  if (old != old || b != b) return old != old ? b : old;
  return op == AtomOp::min ? (b < old ? b : old) : (b > old ? b : old);
}

uint16_t half_atomic(AtomOp op, Ty ty, uint16_t old, uint16_t b) {
  bool h = ty == Ty::f16 || ty == Ty::f16x2;
  if (op == AtomOp::exch) return b;
  double x = h ? half_to_float(old) : bf16_to_float(old),
         y = h ? half_to_float(b) : bf16_to_float(b), r;
  if (op == AtomOp::add)
    r = h ? x + y : double(float(x) + float(y));
  else if (x != x || y != y)
    r = x != x ? y : x;
  else
    r = op == AtomOp::min ? std::min(x, y) : std::max(x, y);
  return uint16_t(h ? encode_float<5, 10>(r, 0, false) : encode_float<8, 7>(r, 0, false));
}

uint64_t register_value(Warp& w, uint32_t ref, uint32_t width, int i) {
  switch (width) {
    case 1: return lanes<uint8_t>(w, ref)[i];
    case 2: return lanes<uint16_t>(w, ref)[i];
    case 4: return lanes<uint32_t>(w, ref)[i];
    default: return lanes<uint64_t>(w, ref)[i];
  }
}

void set_register(Warp& w, uint32_t ref, uint32_t width, int i, uint64_t v) {
  switch (width) {
    case 2: lanes<uint16_t>(w, ref)[i] = uint16_t(v); break;
    case 4: lanes<uint32_t>(w, ref)[i] = uint32_t(v); break;
    default: lanes<uint64_t>(w, ref)[i] = v; break;
  }
}

// atom.cas.b128 and atom.exch.b128
void atomic_wide(Warp& w, const Op& o, uint8_t* p, int i) {
  std::lock_guard lock(g_wide_lock);
  U128 old, b, c{};
  memcpy(&old, p, 16);
  memcpy(&b, lanes<uint8_t>(w, o.refs[1]) + 16 * i, 16);
  if (o.refs[2] != kNoRef) memcpy(&c, lanes<uint8_t>(w, o.refs[2]) + 16 * i, 16);
  if (AtomOp(o.sub) == AtomOp::exch)
    memcpy(p, &b, 16);
  else if (old.lo == b.lo && old.hi == b.hi)
    memcpy(p, &c, 16);
  if (o.refs[0] != kNoRef) memcpy(lanes<uint8_t>(w, o.refs[0]) + 16 * i, &old, 16);
}

}  // namespace

uint64_t atomic_scalar(uint8_t* p, bool shared, AtomOp op, Ty ty, uint64_t b, uint64_t c) {
  switch (ty) {
    case Ty::s32:
      return uint32_t(rmw<int32_t>(p, shared, [&](int32_t o) {
        return int_atomic<int32_t>(op, o, int32_t(b), int32_t(c));
      }));
    case Ty::s64:
      return uint64_t(rmw<int64_t>(p, shared, [&](int64_t o) {
        return int_atomic<int64_t>(op, o, int64_t(b), int64_t(c));
      }));
    case Ty::u64:
    case Ty::b64:
      return rmw<uint64_t>(p, shared,
                           [&](uint64_t o) { return int_atomic<uint64_t>(op, o, b, c); });
    case Ty::b16:
    case Ty::u16:
      return rmw<uint16_t>(p, shared, [&](uint16_t o) {
        return int_atomic<uint16_t>(op, o, uint16_t(b), uint16_t(c));
      });
    case Ty::f32:
      return rmw<uint32_t>(p, shared, [&](uint32_t o) {
        if (op == AtomOp::exch) return uint32_t(b);
        return bits_as<uint32_t>(float_atomic(op, bits_as<float>(o), bits_as<float>(uint32_t(b))));
      });
    case Ty::f64:
      return rmw<uint64_t>(p, shared, [&](uint64_t o) {
        if (op == AtomOp::exch) return b;
        return bits_as<uint64_t>(float_atomic(op, bits_as<double>(o), bits_as<double>(b)));
      });
    case Ty::f16:
    case Ty::bf16:
      return rmw<uint16_t>(p, shared,
                           [&](uint16_t o) { return half_atomic(op, ty, o, uint16_t(b)); });
    case Ty::f16x2:
    case Ty::bf16x2:
      return rmw<uint32_t>(p, shared, [&](uint32_t o) {
        return uint32_t(half_atomic(op, ty, uint16_t(o), uint16_t(b))) |
               uint32_t(half_atomic(op, ty, uint16_t(o >> 16), uint16_t(b >> 16))) << 16;
      });
    default:
      return rmw<uint32_t>(p, shared, [&](uint32_t o) {
        return int_atomic<uint32_t>(op, o, uint32_t(b), uint32_t(c));
      });
  }
}

// refs: n destinations (kNoRef for red), then n operands, then n compare-and-swap values (n = 1)
void op_atomic(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  alignas(64) uint64_t a[32];
  addresses(w, o, a);
  uint32_t esize = ir::type_bytes(o.ty), bytes = esize * o.n;
  w.spinny = true;
  uint8_t* p[32];
  auto part = [&](Space space, const uint64_t* at, uint32_t mm) {
    if (space == Space::param)
      throw DeviceFault{kIllegalAddress, "atomic on a kernel parameter", __builtin_ctz(mm)};
    resolve(w, space, at, mm, bytes, Access::atomic, p);
    if (w.grid->observe) observe(w, space, Access::atomic, Sem::sync, at, mm, bytes);
    if (w.grid->profiler) w.grid->profiler->atomic(space, o.ty);
    bool shared = space != Space::global;
    for (uint32_t m = mm; m; m &= m - 1) {
      int i = __builtin_ctz(m);
      if (esize == 16) {
        atomic_wide(w, o, p[i], i);
        continue;
      }
      for (uint32_t k = 0; k < o.n; ++k) {
        uint64_t b = register_value(w, o.refs[o.n + k], o.dw, i);
        uint64_t c = o.n == 1 && o.refs[2] != kNoRef ? register_value(w, o.refs[2], o.dw, i) : 0;
        uint64_t old = atomic_scalar(p[i] + k * esize, shared, AtomOp(o.sub), o.ty, b, c);
        if (o.refs[k] != kNoRef) set_register(w, o.refs[k], o.dw, i, old);
      }
    }
  };
  if (o.space == Space::generic)
    split_generic(a, mask, part);
  else
    part(o.space, a, mask);
}

}  // namespace cudasim
