// SPDX-License-Identifier: Apache-2.0
// Warp-level primitives, and clocks.
#include <chrono>

#include "handlers.h"
#include "number_formats.h"
#include "races.h"

namespace cudasim {

namespace {

// Calls f(lanes that take part together) for each distinct membermask among the executing lanes.
template <class F>
void for_groups(Warp& w, const Op& o, uint32_t m, F f) {
  if (o.e == kNoRef) return f(m);
  const uint32_t* members = lanes<uint32_t>(w, o.e);
  while (m) {
    uint32_t want = members[__builtin_ctz(m)], group = 0;
    for (uint32_t k = m; k; k &= k - 1) {
      int i = __builtin_ctz(k);
      if (members[i] == want) group |= 1u << i;
    }
    f(group);
    m &= ~group;
  }
}

template <class Clock>
uint64_t nanoseconds() {
  auto now = Clock::now().time_since_epoch();
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// redux's min and max of f32; sub2 bit 1: a NaN wins, otherwise it loses
uint32_t minmax_float(const Op& o, bool max, uint32_t a, uint32_t b) {
  float x = bits_as<float>(a), y = bits_as<float>(b);
  if (x != x || y != y) return o.sub2 & 2 ? 0x7FFFFFFF : x != x ? b : a;
  if (x == y) return max ? a & b : a | b;  // of the two zeros
  return (x < y) != max ? a : b;
}

uint32_t reduce(const Op& o, uint32_t a, uint32_t b) {
  switch (AtomOp(o.sub)) {
    case AtomOp::add: return a + b;
    case AtomOp::and_: return a & b;
    case AtomOp::or_: return a | b;
    case AtomOp::xor_: return a ^ b;
    default: break;
  }
  bool max = AtomOp(o.sub) == AtomOp::max;
  if (o.ty == Ty::f32) return minmax_float(o, max, a, b);
  if (o.ty == Ty::s32) return (int32_t(a) < int32_t(b)) == max ? b : a;
  return max ? std::max(a, b) : std::min(a, b);
}

}  // namespace

void op_shfl(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  if (w.grid->races) race_warp_sync(w);
  alignas(64) uint32_t a[32];
  memcpy(a, lanes<uint32_t>(l, o.a), sizeof a);
  alignas(64) uint32_t bs[32], cs[32];
  memcpy(bs, lanes<uint32_t>(l, o.b), sizeof bs);
  memcpy(cs, lanes<uint32_t>(l, o.c), sizeof cs);
  const uint32_t* members = o.e == kNoRef ? nullptr : lanes<uint32_t>(l, o.e);
  uint32_t preds = 0;
  alignas(64) uint32_t t[32];
  for (int i = 0; i < 32; ++i) {
    int b = int(bs[i] & 31), clamp = int(cs[i] & 31), seg = int(cs[i] >> 8 & 31);
    int max = (i & seg) | (clamp & ~seg), min = i & seg, j;
    bool p;
    switch (o.sub) {
      case 0:
        j = i - b;
        p = j >= max;
        break;
      case 1:
        j = i + b;
        p = j <= max;
        break;
      case 2:
        j = i ^ b;
        p = j <= max;
        break;
      default:
        j = min | (b & ~seg & 31);
        p = j <= max;
        break;
    }
    if (!p) j = i;
    // A source that takes no part gives an undefined value: one that shows when it is used.
    uint32_t sources = members ? m & members[i] : m;
    t[i] = sources >> (j & 31) & 1 ? a[j & 31] : ~0u;
    preds |= uint32_t(p) << i;
  }
  if (o.d != kNoRef) {
    uint32_t* d = lanes<uint32_t>(l, o.d);
    for (int i = 0; i < 32; ++i) d[i] = m >> i & 1 ? t[i] : d[i];
  }
  set_pred(l, o.d2, preds, m);
}

void op_vote(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  if (w.grid->races) race_warp_sync(w);
  uint32_t p = *lanes<uint32_t>(l, o.a);
  if (o.negate) p = ~p;
  for_groups(w, o, m, [&](uint32_t group) {
    uint32_t set = p & group;
    if (o.sub == 3) {
      uint32_t* d = lanes<uint32_t>(l, o.d);
      for (uint32_t k = group; k; k &= k - 1) d[__builtin_ctz(k)] = set;
      return;
    }
    bool r = o.sub == 0 ? set == group : o.sub == 1 ? set != 0 : set == 0 || set == group;
    set_pred(l, o.d, r ? ~0u : 0, group);
  });
}

void op_match(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  if (w.grid->races) race_warp_sync(w);
  uint64_t v[32];
  for (int i = 0; i < 32; ++i)
    v[i] = o.aw == 8 ? lanes<uint64_t>(l, o.a)[i] : lanes<uint32_t>(l, o.a)[i];
  for_groups(w, o, m, [&](uint32_t group) {
    uint32_t first = ~0u;
    for (uint32_t k = group; k; k &= k - 1) {
      int i = __builtin_ctz(k);
      uint32_t same = 0;
      for (uint32_t q = group; q; q &= q - 1) {
        int j = __builtin_ctz(q);
        same |= uint32_t(v[j] == v[i]) << j;
      }
      if (first == ~0u) first = same;
      uint32_t r = o.sub ? (first == group ? group : 0) : same;
      if (o.d != kNoRef) lanes<uint32_t>(l, o.d)[i] = r;
    }
    if (o.sub) set_pred(l, o.d2, first == group ? ~0u : 0, group);
  });
}

void op_redux(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  if (w.grid->races) race_warp_sync(w);
  const uint32_t* a = lanes<uint32_t>(l, o.a);
  uint32_t* d = lanes<uint32_t>(l, o.d);
  for_groups(w, o, m, [&](uint32_t group) {
    bool first = true;
    uint32_t r = 0;
    for (uint32_t k = group; k; k &= k - 1) {
      uint32_t v = a[__builtin_ctz(k)];
      if (o.ty == Ty::f32 && (o.sub2 & 1)) v &= 0x7FFFFFFF;
      if (first) {
        r = v;
        first = false;
        continue;
      }
      r = reduce(o, r, v);
    }
    if (o.ty == Ty::f32 && (r & 0x7FFFFFFF) > 0x7F800000) r = 0x7FFFFFFF;
    for (uint32_t k = group; k; k &= k - 1) d[__builtin_ctz(k)] = r;
  });
}

void op_elect(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  for_groups(w, o, m, [&](uint32_t group) {
    uint32_t leader = uint32_t(__builtin_ctz(group));
    if (o.d != kNoRef)
      for (uint32_t k = group; k; k &= k - 1) lanes<uint32_t>(l, o.d)[__builtin_ctz(k)] = leader;
    set_pred(l, o.d2, 1u << leader, group);
  });
}

void op_activemask(Lanes& l, const Op& o, uint32_t m) {
  uint32_t* d = lanes<uint32_t>(l, o.d);
  for (uint32_t k = m; k; k &= k - 1) d[__builtin_ctz(k)] = m;
}

void op_warp_barrier(Lanes& l, const Op&, uint32_t) {
  Warp& w = static_cast<Warp&>(l);
  if (w.grid->races) race_warp_sync(w);
}

// Both clocks are host time in nanoseconds; sub2: wall clock (globaltimer), sub: the high word.
void op_clock(Lanes& l, const Op& o, uint32_t m) {
  Warp& w = static_cast<Warp&>(l);
  w.spinny = true;
  uint64_t v =
      o.sub2 ? nanoseconds<std::chrono::system_clock>() : nanoseconds<std::chrono::steady_clock>();
  if (o.sub) v >>= 32;
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    if (o.dw == 8)
      lanes<uint64_t>(l, o.d)[i] = v;
    else
      lanes<uint32_t>(l, o.d)[i] = uint32_t(v);
  }
}

void op_spin(Lanes& l, const Op&, uint32_t) { static_cast<Warp&>(l).spinny = true; }
void op_nothing(Lanes&, const Op&, uint32_t) {}

}  // namespace cudasim
