// SPDX-License-Identifier: Apache-2.0
// cvt to tf32, between packed pairs, and of saturated integers into packed ones.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

void cvt_tf32(Lanes& l, const Op& o, uint32_t m) {
  const uint32_t* a = at<uint32_t>(l, o.a);
  uint32_t* d = at<uint32_t>(l, o.d);
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    uint32_t u = a[i];
    if ((u & 0x7FFFFFFF) > 0x7F800000) {
      d[i] = 0x7FFFFFFF;
      continue;
    }
    if ((u & 0x7F800000) != 0x7F800000) {
      if (o.rnd == Rnd::rna)
        u += 0x1000;
      else if (o.rnd == Rnd::rn)
        u += 0xFFF + (u >> 13 & 1);
      u &= ~0x1FFFu;
    }
    if ((o.sub2 & 1) && (u >> 31)) u = 0;
    d[i] = u;
  }
}

// Two-element conversions: d = {hi from a, lo from b}, or element by element from a packed source.
void cvt_x2(Lanes& l, const Op& o, uint32_t m) {
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    double hi, lo;
    switch (o.ty2) {
      case Ty::f32:
        hi = at<float>(l, o.a)[i];
        lo = at<float>(l, o.b)[i];
        break;
      case Ty::f16x2: {
        uint32_t v = at<uint32_t>(l, o.a)[i];
        hi = Half::decode(uint16_t(v >> 16));
        lo = Half::decode(uint16_t(v));
        break;
      }
      case Ty::bf16x2: {
        uint32_t v = at<uint32_t>(l, o.a)[i];
        hi = Bf16::decode(uint16_t(v >> 16));
        lo = Bf16::decode(uint16_t(v));
        break;
      }
      case Ty::e4m3x2: {
        uint16_t v = at<uint16_t>(l, o.a)[i];
        hi = decode_e4m3(uint8_t(v >> 8));
        lo = decode_e4m3(uint8_t(v));
        break;
      }
      default: {
        uint16_t v = at<uint16_t>(l, o.a)[i];
        hi = decode_float<5, 2>(v >> 8);
        lo = decode_float<5, 2>(v & 0xFF);
        break;
      }
    }
    if (o.sub2 & 1) hi = relu(hi), lo = relu(lo);
    if (o.sat) hi = sat01(hi), lo = sat01(lo);
    auto pair = [&](auto f, int shift) { return uint32_t(f(lo)) | uint32_t(f(hi)) << shift; };
    bool finite = o.sub2 & 2;
    switch (o.ty) {
      case Ty::f16x2:
        at<uint32_t>(l, o.d)[i] =
            pair([&](double v) { return encode_float<5, 10>(v, int(o.rnd), finite); }, 16);
        break;
      case Ty::bf16x2:
        at<uint32_t>(l, o.d)[i] =
            pair([&](double v) { return encode_float<8, 7>(v, int(o.rnd), finite); }, 16);
        break;
      case Ty::e4m3x2:
        at<uint16_t>(l, o.d)[i] = uint16_t(pair([&](double v) { return encode_e4m3(v, true); }, 8));
        break;
      default:
        at<uint16_t>(l, o.d)[i] =
            uint16_t(pair([&](double v) { return encode_float<5, 2>(v, 0, true); }, 8));
        break;
    }
  }
}

// cvt.pack.sat.{u16,s16,u8,s8,...}.s32: ty is the element type
void cvt_pack(Lanes& l, const Op& o, uint32_t m) {
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    auto clamp = [&](int32_t v) -> uint32_t {
      switch (o.ty) {
        case Ty::u16: return uint32_t(v < 0 ? 0 : v > 65535 ? 65535 : v);
        case Ty::s16: return uint16_t(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        case Ty::u8: return uint32_t(v < 0 ? 0 : v > 255 ? 255 : v);
        default: return uint8_t(v < -128 ? -128 : v > 127 ? 127 : v);
      }
    };
    uint32_t a = clamp(at<int32_t>(l, o.a)[i]), b = clamp(at<int32_t>(l, o.b)[i]);
    bool wide = o.ty == Ty::u16 || o.ty == Ty::s16;
    uint32_t r = wide ? a << 16 | b : a << 8 | b;
    if (!wide && o.c != kNoRef) r |= at<uint32_t>(l, o.c)[i] << 16;
    at<uint32_t>(l, o.d)[i] = r;
  }
}

}  // namespace

Fn find_convert_special(Alu op) {
  if (op == Alu::cvt_x2) return cvt_x2;
  if (op == Alu::cvt_pack) return cvt_pack;
  return cvt_tf32;
}

}  // namespace cudasim::CUDASIM_ISA
