// SPDX-License-Identifier: Apache-2.0
// Predicates, packing and unpacking of registers, 16-byte moves.
#include "alu_lanes.h"

namespace cudasim::CUDASIM_ISA {
namespace {

template <class F>
Fn pred2(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    set_pred(l, o.d, F{}(pred(l, o.a), pred(l, o.b)), m);
  };
}
Fn pred_function(Alu op) {
  switch (op) {
    case Alu::and_: return pred2([](uint32_t a, uint32_t b) { return a & b; });
    case Alu::or_: return pred2([](uint32_t a, uint32_t b) { return a | b; });
    case Alu::xor_: return pred2([](uint32_t a, uint32_t b) { return a ^ b; });
    case Alu::not_:
      return [](Lanes& l, const Op& o, uint32_t m) { set_pred(l, o.d, ~pred(l, o.a), m); };
    case Alu::mov:
      return
          [](Lanes& l, const Op& o, uint32_t m) { set_pred(l, o.d, pred_in(l, o.a, o.negate), m); };
    case Alu::selp:
      return [](Lanes& l, const Op& o, uint32_t m) {
        uint32_t p = pred_in(l, o.c, o.negate);
        set_pred(l, o.d, (pred(l, o.a) & p) | (pred(l, o.b) & ~p), m);
      };
    default: return nullptr;
  }
}

struct alignas(16) U128 {
  uint64_t lo, hi;
};

template <class Small, class Big, int kN>
void pack_n(Lanes& l, const Op& o, uint32_t m) {
  alignas(64) Small t[32 * kN];
  for (int k = 0; k < kN; ++k) {
    const Small* s = at<Small>(l, o.refs[k]);
    for (int i = 0; i < 32; ++i) t[i * kN + k] = s[i];
  }
  const Big* v = reinterpret_cast<const Big*>(t);
  Big* d = at<Big>(l, o.d);
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    __builtin_memcpy(&d[i], &v[i], sizeof(Big));
  }
}
template <class Small, int kN>
void unpack_n(Lanes& l, const Op& o, uint32_t m) {
  alignas(64) Small t[32 * kN];
  __builtin_memcpy(t, at<Small>(l, o.a), sizeof t);
  for (int k = 0; k < kN; ++k) {
    if (o.refs[k] == kNoRef) continue;
    Small* d = at<Small>(l, o.refs[k]);
    alignas(64) Small v[32];
    for (int i = 0; i < 32; ++i) v[i] = t[i * kN + k];
    commit(d, v, m);
  }
}

// Null when `parts` registers of `small` bytes are no register of `big` bytes.
Fn pack_function(bool pack, uint32_t big, uint32_t small) {
  if (big == 8 && small == 4) return pack ? pack_n<uint32_t, uint64_t, 2> : unpack_n<uint32_t, 2>;
  if (big == 4 && small == 2) return pack ? pack_n<uint16_t, uint32_t, 2> : unpack_n<uint16_t, 2>;
  if (big == 8 && small == 2) return pack ? pack_n<uint16_t, uint64_t, 4> : unpack_n<uint16_t, 4>;
  if (big == 16 && small == 8) return pack ? pack_n<uint64_t, U128, 2> : unpack_n<uint64_t, 2>;
  if (big == 16 && small == 4) return pack ? pack_n<uint32_t, U128, 4> : unpack_n<uint32_t, 4>;
  if (big == 4 && small == 1) return pack ? pack_n<uint8_t, uint32_t, 4> : unpack_n<uint8_t, 4>;
  if (big == 2 && small == 1) return pack ? pack_n<uint8_t, uint16_t, 2> : unpack_n<uint8_t, 2>;
  return nullptr;
}

void move128(Lanes& l, const Op& o, uint32_t m) {
  const U128* a = at<U128>(l, o.a);
  U128* d = at<U128>(l, o.d);
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    d[i] = a[i];
  }
}

}  // namespace

Fn find_move(Alu op, const Op& o) {
  if (o.ty == Ty::pred) return pred_function(op);
  if (op == Alu::mov) return o.ty == Ty::b128 ? move128 : nullptr;
  uint32_t big = ir::type_bytes(o.ty);
  return pack_function(op == Alu::pack, big, big / o.n);
}

}  // namespace cudasim::CUDASIM_ISA
