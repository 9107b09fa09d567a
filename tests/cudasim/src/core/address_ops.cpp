// SPDX-License-Identifier: Apache-2.0
// Instructions on addresses: cvta, isspacep, mapa, getctarank.
#include "handlers.h"
#include "memory.h"

namespace cudasim {

void op_isspacep(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  const uint64_t* a = lanes<uint64_t>(w, o.a);
  uint32_t r = 0;
  for (int i = 0; i < 32; ++i) {
    uint64_t window = a[i] & kWindowMask;
    bool t;
    switch (o.space) {
      case Space::shared:
        t = window == kSharedWindow;
        if (t && o.sub == 1) {  // shared::cta: only the own block
          uint32_t rank = uint32_t(a[i] >> kSharedRankShift) & 0xFF;
          t = rank == 0 || rank == w.block->cluster_rank + 1;
        }
        break;
      case Space::local: t = window == kLocalWindow; break;
      case Space::param: t = window == kParamWindow; break;
      case Space::constant: t = !window && is_constant(w, a[i]); break;
      default:
        t = window != kSharedWindow && window != kLocalWindow && window != kParamWindow;
        break;
    }
    r |= uint32_t(t) << i;
  }
  set_pred(w, o.d, r, mask);
}

// cvta: sub 0 adds the window to the offset, 1 takes it away
void op_cvta(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  uint64_t window = o.space == Space::shared  ? kSharedWindow
                    : o.space == Space::local ? kLocalWindow
                    : o.space == Space::param ? kParamWindow
                                              : 0;
  uint64_t* d = lanes<uint64_t>(w, o.d);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    uint64_t v = address_register(w, o.a, o.aw, i);
    v += uint64_t(o.imm);
    if (window) v = o.sub ? v & ~kWindowMask : v | window;
    d[i] = v;
  }
}

void op_local_address(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  uint64_t v = w.frame->local_base + uint64_t(o.imm);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    if (o.dw == 8)
      lanes<uint64_t>(w, o.d)[i] = v;
    else
      lanes<uint32_t>(w, o.d)[i] = uint32_t(v);
  }
}

// mapa: a = address, b = rank; sub 1: generic addresses
void op_mapa(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    uint64_t a = address_register(w, o.a, o.aw, i);
    a += uint64_t(o.imm);
    uint32_t rank = lanes<uint32_t>(w, o.b)[i];
    uint64_t limit = w.block->cluster ? w.block->cluster->blocks.size() : 1;
    if (rank >= limit)
      throw DeviceFault{kLaunchFailure,
                        "mapa: block " + std::to_string(rank) + " is not in the cluster", i};
    uint64_t r = (a & kSharedOffsetMask) | uint64_t(w.block->cluster ? rank + 1 : 0)
                                               << kSharedRankShift;
    if (o.sub) r |= kSharedWindow;
    if (o.dw == 8)
      lanes<uint64_t>(w, o.d)[i] = r;
    else
      lanes<uint32_t>(w, o.d)[i] = uint32_t(r);
  }
}

void op_getctarank(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    uint64_t a = address_register(w, o.a, o.aw, i);
    uint32_t rank = uint32_t(a >> kSharedRankShift) & 0xFF;
    lanes<uint32_t>(w, o.d)[i] = rank ? rank - 1 : w.block->cluster_rank;
  }
}

}  // namespace cudasim
