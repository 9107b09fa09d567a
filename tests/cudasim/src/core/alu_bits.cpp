// SPDX-License-Identifier: Apache-2.0
// Operations on bits: logic, shifts, fields, bytes of a word.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

template <class U>
void select(Lanes& l, const Op& o, uint32_t m) {
  const U* a = at<U>(l, o.a);
  const U* b = at<U>(l, o.b);
  uint32_t p = pred_in(l, o.c, o.negate);
  for_lanes(at<U>(l, o.d), m, [=](int i) { return p >> i & 1 ? a[i] : b[i]; });
}

// bfi: the low e bits of a replace the bits of b from position c on
template <class U>
void insert_field(Lanes& l, const Op& o, uint32_t m) {
  constexpr uint32_t kBits = sizeof(U) * 8;
  const U* a = at<U>(l, o.a);
  const U* b = at<U>(l, o.b);
  const uint32_t *c = at<uint32_t>(l, o.c), *e = at<uint32_t>(l, o.e);
  for_lanes(at<U>(l, o.d), m, [=](int i) {
    uint32_t pos = c[i] & 0xFF, len = e[i] & 0xFF;
    U ones = len >= kBits ? U(~U(0)) : U((U(1) << (len & (kBits - 1))) - 1);
    U field = pos >= kBits ? U(0) : U(ones << (pos & (kBits - 1)));
    U value = pos >= kBits ? U(0) : U(a[i] << (pos & (kBits - 1)));
    return U((b[i] & ~field) | (value & field));
  });
}

// Untyped (bits) operations by width.
template <class U>
Fn bit_function(Alu op, const Op& o) {
  constexpr uint32_t kBits = sizeof(U) * 8;
  switch (op) {
    case Alu::and_: return map2<U, U, U>([](U a, U b) { return U(a & b); });
    case Alu::or_: return map2<U, U, U>([](U a, U b) { return U(a | b); });
    case Alu::xor_: return map2<U, U, U>([](U a, U b) { return U(a ^ b); });
    case Alu::not_: return map1<U, U>([](U a) { return U(~a); });
    case Alu::cnot: return map1<U, U>([](U a) { return U(a == 0); });
    case Alu::shl:
      return map2<U, U, uint32_t>([](U a, uint32_t n) { return n >= kBits ? U(0) : U(a << n); });
    case Alu::mov: return map1<U, U>([](U a) { return a; });
    case Alu::selp: return select<U>;
    case Alu::slct:
      if (o.ty2 == Ty::f32)
        return each3<U, U, U, float>(
            [](const Op& mode, U a, U b, float c) { return (mode.ftz ? ftz(c) : c) >= 0 ? a : b; });
      return map3<U, U, U, int32_t>([](U a, U b, int32_t c) { return c >= 0 ? a : b; });
    case Alu::brev:
      if constexpr (sizeof(U) >= 4)
        return map1<U, U>([](U a) {
          uint64_t x = a;
          x = (x >> 1 & 0x5555555555555555ull) | (x & 0x5555555555555555ull) << 1;
          x = (x >> 2 & 0x3333333333333333ull) | (x & 0x3333333333333333ull) << 2;
          x = (x >> 4 & 0x0F0F0F0F0F0F0F0Full) | (x & 0x0F0F0F0F0F0F0F0Full) << 4;
          x = __builtin_bswap64(x);
          return U(x >> (64 - kBits));
        });
      else
        return nullptr;
    case Alu::popc: return map1<uint32_t, U>([](U a) { return uint32_t(__builtin_popcountll(a)); });
    case Alu::clz:
      return map1<uint32_t, U>(
          [](U a) { return a ? uint32_t(__builtin_clzll(a)) - (64 - kBits) : kBits; });
    case Alu::bfi: return insert_field<U>;
    default: return nullptr;
  }
}

Fn bits_by_width(Alu op, const Op& o) {
  switch (ir::type_bytes(o.ty)) {
    case 1: return op == Alu::mov ? bit_function<uint8_t>(op, o) : nullptr;
    case 2: return bit_function<uint16_t>(op, o);
    case 4: return bit_function<uint32_t>(op, o);
    case 8: return bit_function<uint64_t>(op, o);
    default: return nullptr;
  }
}

// --------------------------------------------------- 32-bit only

// lop3: any function of three bits, sub its truth table; evaluated as a tree of selections
void lookup3(Lanes& l, const Op& o, uint32_t m) {
  using U = uint32_t;
  const U *a = at<U>(l, o.a), *b = at<U>(l, o.b), *c = at<U>(l, o.c);
  U k[8];
  for (int j = 0; j < 8; ++j) k[j] = o.sub >> j & 1 ? ~0u : 0;
  alignas(64) U t[32];
  LANES {
    U n = ~c[i];
    U s0 = (c[i] & k[1]) | (n & k[0]), s1 = (c[i] & k[3]) | (n & k[2]);
    U s2 = (c[i] & k[5]) | (n & k[4]), s3 = (c[i] & k[7]) | (n & k[6]);
    U u0 = (b[i] & s1) | (~b[i] & s0), u1 = (b[i] & s3) | (~b[i] & s2);
    t[i] = (a[i] & u1) | (~a[i] & u0);
  }
  if (o.d2 != kNoRef) {  // lop3.BoolOp d|p
    U r = 0, q = pred_in(l, o.e, o.negate);
    for (int i = 0; i < 32; ++i) r |= U(t[i] != 0) << i;
    set_pred(l, o.d2, o.sub2 == U(BoolOp::and_) ? r & q : r | q, m);
  }
  if (o.d != kNoRef) commit(at<U>(l, o.d), t, m);
}

uint32_t prmt_lane(uint8_t mode, uint32_t a, uint32_t b, uint32_t c) {
  uint64_t v = uint64_t(b) << 32 | a;
  auto byte = [&](uint32_t k) { return uint32_t(v >> (8 * (k & 7))) & 0xFF; };
  uint32_t r = 0, s = c & 3;
  for (uint32_t k = 0; k < 4; ++k) {
    uint32_t x;
    switch (mode) {
      case 0: {
        uint32_t sel = c >> (4 * k);
        x = byte(sel);
        if (sel & 8) x = x & 0x80 ? 0xFF : 0;
        break;
      }
      case 1: x = byte(s + k); break;                   // f4e
      case 2: x = byte(s - k); break;                   // b4e
      case 3: x = byte(s); break;                       // rc8
      case 4: x = byte(k < s ? s : k); break;           // ecl: clamp left
      case 5: x = byte(k < s ? k : s); break;           // ecr
      default: x = byte((s & 1) * 2 + (k & 1)); break;  // rc16
    }
    r |= x << (8 * k);
  }
  return r;
}

int32_t dot_byte(uint32_t v, int k, bool sign) {
  return sign ? int8_t(v >> (8 * k)) : int32_t(uint8_t(v >> (8 * k)));
}
int32_t dot_half(uint32_t v, int k, bool sign) {
  return sign ? int16_t(v >> (16 * k)) : int32_t(uint16_t(v >> (16 * k)));
}

// sub: signed
uint64_t product24(const Op& o, uint32_t a, uint32_t b) {
  if (o.sub) return uint64_t(int64_t(int32_t(a << 8) >> 8) * (int32_t(b << 8) >> 8));
  return uint64_t(a & 0xFFFFFF) * (b & 0xFFFFFF);
}

Fn word_function(Alu op) {
  using U = uint32_t;
  switch (op) {
    case Alu::lop3: return lookup3;
    case Alu::shf:  // sub: bit 0 right, bit 1 clamp
      return each3<U, U, U, U>([](const Op& o, U a, U b, U c) {
        uint64_t v = uint64_t(b) << 32 | a;
        U n = o.sub & 2 ? (c < 32 ? c : 32) : c & 31;
        return o.sub & 1 ? U(v >> n) : U((v << n) >> 32);
      });
    case Alu::prmt:
      return each3<U, U, U, U>(
          [](const Op& o, U a, U b, U c) { return prmt_lane(o.sub, a, b, c); });
    case Alu::mul24:
      return each2<U, U, U>([](const Op& o, U a, U b) { return U(product24(o, a, b)); });
    case Alu::mul24_hi:
      return each2<U, U, U>([](const Op& o, U a, U b) { return U(product24(o, a, b) >> 16); });
    case Alu::mad24:
      return each3<U, U, U, U>(
          [](const Op& o, U a, U b, U c) { return c + U(product24(o, a, b)); });
    case Alu::mad24_hi:
      return each3<U, U, U, U>([](const Op& o, U a, U b, U c) {
        U h = U(product24(o, a, b) >> 16);
        if (!o.sat) return h + c;
        int32_t r;
        if (!__builtin_add_overflow(int32_t(h), int32_t(c), &r)) return U(r);
        return int32_t(c) >= 0 ? 0x7FFFFFFFu : 0x80000000u;
      });
    case Alu::fns:
      return each3<U, U, U, int32_t>([](const Op&, U a, U base, int32_t off) -> U {
        if (base > 31) return ~0u;
        if (off == 0) return a >> base & 1 ? base : ~0u;
        int step = off > 0 ? 1 : -1, left = off > 0 ? off : -off;
        for (int k = int(base); k >= 0 && k < 32; k += step)
          if (a >> k & 1 && --left == 0) return U(k);
        return ~0u;
      });
    case Alu::bmsk:  // sub: clamp
      return each2<U, U, U>([](const Op& o, U a, U b) -> U {
        U a1 = a & 31, b1 = b & 31, mask0 = ~0u << a1, sum = a1 + b1;
        bool over = sum >= 32;
        if (o.sub && a >= 32) {
          mask0 = 0;
          over = true;
        }
        if (o.sub && b >= 32) over = true;
        U mask1 = over ? 0 : b1 == 0 ? ~0u : ~0u << sum;
        return mask0 & ~mask1;
      });
    case Alu::szext:  // sub: bit 0 clamp, bit 1 signed
      return each2<U, U, U>([](const Op& o, U a, U b) -> U {
        U b1 = b & 31;
        bool large = b >= 32 && (o.sub & 1);
        U mask = large ? 0 : ~0u << b1;
        bool sign = b1 && !large && (o.sub & 2) && (a >> ((b1 - 1) & 31) & 1);
        return (a & ~mask) | (sign ? mask : 0);
      });
    case Alu::dp4a:  // sub: bit 0 a signed, bit 1 b signed
      return each3<U, U, U, U>([](const Op& o, U a, U b, U c) {
        for (int k = 0; k < 4; ++k) c += U(dot_byte(a, k, o.sub & 1) * dot_byte(b, k, o.sub & 2));
        return c;
      });
    case Alu::dp2a:  // bit 2: hi
      return each3<U, U, U, U>([](const Op& o, U a, U b, U c) {
        for (int k = 0; k < 2; ++k)
          c += U(dot_half(a, k, o.sub & 1) * dot_byte(b, k + (o.sub & 4 ? 2 : 0), o.sub & 2));
        return c;
      });
    case Alu::vabsdiff4:  // sub: bit 0 a signed, bit 1 b signed, bit 2 .add
      return each3<U, U, U, U>([](const Op& o, U a, U b, U c) {
        U r = 0, sum = 0;
        for (int k = 0; k < 4; ++k) {
          int32_t v = dot_byte(a, k, o.sub & 1) - dot_byte(b, k, o.sub & 2);
          v = v < 0 ? -v : v;
          sum += U(v);
          r |= (U(v) & 0xFF) << (8 * k);
        }
        return o.sub & 4 ? c + sum : r;
      });
    default: return nullptr;
  }
}

}  // namespace

Fn find_bits(Alu op, const Op& o) {
  switch (op) {
    case Alu::and_:
    case Alu::or_:
    case Alu::xor_:
    case Alu::not_:
    case Alu::cnot:
    case Alu::shl:
    case Alu::mov:
    case Alu::selp:
    case Alu::slct:
    case Alu::brev:
    case Alu::popc:
    case Alu::clz:
    case Alu::bfi: return bits_by_width(op, o);
    default: return word_function(op);
  }
}

}  // namespace cudasim::CUDASIM_ISA
