// SPDX-License-Identifier: Apache-2.0
// setp and set.
#include "alu_floats.h"

namespace cudasim::CUDASIM_ISA {
namespace {

template <class T, class F>
Fn compare(F) {
  return [](Lanes& l, const Op& o, uint32_t m) {
    const T* a = at<T>(l, o.a);
    const T* b = at<T>(l, o.b);
    uint32_t r = 0;
    for (int i = 0; i < 32; ++i) r |= uint32_t(F{}(a[i], b[i])) << i;
    uint32_t nr = ~r;
    if (o.sub2 != uint8_t(BoolOp::none)) {
      uint32_t c = pred_in(l, o.c, o.negate);
      switch (BoolOp(o.sub2)) {
        case BoolOp::and_:
          r &= c;
          nr &= c;
          break;
        case BoolOp::or_:
          r |= c;
          nr |= c;
          break;
        default:
          r ^= c;
          nr ^= c;
          break;
      }
    }
    set_pred(l, o.d, r, m);
    set_pred(l, o.d2, nr, m);
  };
}

template <class T>
Fn setp_int(Cmp c) {
  switch (c) {
    case Cmp::eq: return compare<T>([](T a, T b) { return a == b; });
    case Cmp::ne: return compare<T>([](T a, T b) { return a != b; });
    case Cmp::lt: return compare<T>([](T a, T b) { return a < b; });
    case Cmp::le: return compare<T>([](T a, T b) { return a <= b; });
    case Cmp::gt: return compare<T>([](T a, T b) { return a > b; });
    case Cmp::ge: return compare<T>([](T a, T b) { return a >= b; });
    default: return nullptr;
  }
}
template <class T, bool kFtz>
Fn setp_float(Cmp c) {
#define FC(expr)                          \
  return compare<T>([](T x, T y) {        \
    T a = fin<kFtz>(x), b = fin<kFtz>(y); \
    return expr;                          \
  })
  switch (c) {
    case Cmp::eq: FC(a == b);
    case Cmp::ne: FC(a < b || a > b);
    case Cmp::lt: FC(a < b);
    case Cmp::le: FC(a <= b);
    case Cmp::gt: FC(a > b);
    case Cmp::ge: FC(a >= b);
    case Cmp::equ: FC(!(a < b || a > b));
    case Cmp::neu: FC(!(a == b));
    case Cmp::ltu: FC(!(a >= b));
    case Cmp::leu: FC(!(a > b));
    case Cmp::gtu: FC(!(a <= b));
    case Cmp::geu: FC(!(a < b));
    case Cmp::num: FC(a == a && b == b);
    case Cmp::nan: FC(a != a || b != b);
  }
  return nullptr;
#undef FC
}

template <class T>
bool compare_any(Cmp c, T a, T b) {
  bool un = a != a || b != b;
  switch (c) {
    case Cmp::eq: return !un && a == b;
    case Cmp::ne: return !un && a != b;
    case Cmp::lt: return a < b;
    case Cmp::le: return a <= b;
    case Cmp::gt: return a > b;
    case Cmp::ge: return a >= b;
    case Cmp::equ: return un || a == b;
    case Cmp::neu: return un || a != b;
    case Cmp::ltu: return un || a < b;
    case Cmp::leu: return un || a <= b;
    case Cmp::gtu: return un || a > b;
    case Cmp::geu: return un || a >= b;
    case Cmp::num: return !un;
    case Cmp::nan: return un;
  }
  return false;
}

// Compares the value of lane i of a source array of type ty.
bool compare_lane(const Op& o, Ty ty, const uint8_t* a, const uint8_t* b, int i, int half) {
  Cmp c = Cmp(o.sub);
  auto as = [&](auto tag) {
    using T = decltype(tag);
    return compare_any<T>(c, reinterpret_cast<const T*>(a)[i], reinterpret_cast<const T*>(b)[i]);
  };
  switch (ty) {
    case Ty::b16:
    case Ty::u16: return as(uint16_t{});
    case Ty::s16: return as(int16_t{});
    case Ty::b32:
    case Ty::u32: return as(uint32_t{});
    case Ty::s32: return as(int32_t{});
    case Ty::b64:
    case Ty::u64: return as(uint64_t{});
    case Ty::s64: return as(int64_t{});
    case Ty::f64: return as(double{});
    case Ty::f32: {
      float x = reinterpret_cast<const float*>(a)[i], y = reinterpret_cast<const float*>(b)[i];
      return o.ftz ? compare_any(c, ftz(x), ftz(y)) : compare_any(c, x, y);
    }
    default: {
      bool x2 = ty == Ty::f16x2 || ty == Ty::bf16x2, h = ty == Ty::f16 || ty == Ty::f16x2;
      int k = x2 ? 2 * i + half : i;
      uint16_t x = reinterpret_cast<const uint16_t*>(a)[k],
               y = reinterpret_cast<const uint16_t*>(b)[k];
      if (o.ftz) x = h ? hftz<Half>(x) : hftz<Bf16>(x), y = h ? hftz<Half>(y) : hftz<Bf16>(y);
      return h ? compare_any(c, Half::decode(x), Half::decode(y))
               : compare_any(c, Bf16::decode(x), Bf16::decode(y));
    }
  }
}

void setp_half(Lanes& l, const Op& o, uint32_t m) {
  const uint8_t *a = at<uint8_t>(l, o.a), *b = at<uint8_t>(l, o.b);
  bool x2 = o.ty == Ty::f16x2 || o.ty == Ty::bf16x2;
  uint32_t r[2] = {0, 0};
  for (int h = 0; h <= int(x2); ++h)
    for (int i = 0; i < 32; ++i) r[h] |= uint32_t(compare_lane(o, o.ty, a, b, i, h)) << i;
  if (!x2) r[1] = ~r[0];
  if (o.sub2 != uint8_t(BoolOp::none)) {
    uint32_t c = pred_in(l, o.c, o.negate);
    for (uint32_t& x : r)
      x = o.sub2 == uint8_t(BoolOp::and_) ? x & c : o.sub2 == uint8_t(BoolOp::or_) ? x | c : x ^ c;
  }
  set_pred(l, o.d, r[0], m);
  set_pred(l, o.d2, r[1], m);
}

// set.CmpOp.dtype.stype
void set_any(Lanes& l, const Op& o, uint32_t m) {
  const uint8_t *a = at<uint8_t>(l, o.a), *b = at<uint8_t>(l, o.b);
  bool x2 = o.ty2 == Ty::f16x2 || o.ty2 == Ty::bf16x2;
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    bool r[2];
    for (int h = 0; h <= int(x2); ++h) {
      r[h] = compare_lane(o, o.ty2, a, b, i, h);
      if (o.sub2 != uint8_t(BoolOp::none)) {
        bool c = pred_in(l, o.c, o.negate) >> i & 1;
        r[h] = o.sub2 == uint8_t(BoolOp::and_)  ? r[h] & c
               : o.sub2 == uint8_t(BoolOp::or_) ? r[h] | c
                                                : r[h] ^ c;
      }
    }
    switch (o.ty) {
      case Ty::f32: at<uint32_t>(l, o.d)[i] = r[0] ? 0x3F800000u : 0; break;
      case Ty::f16: at<uint16_t>(l, o.d)[i] = r[0] ? Half::kOne : 0; break;
      case Ty::bf16: at<uint16_t>(l, o.d)[i] = r[0] ? Bf16::kOne : 0; break;
      case Ty::u16:
      case Ty::s16: at<uint16_t>(l, o.d)[i] = r[0] ? 0xFFFF : 0; break;
      case Ty::f16x2:
        at<uint32_t>(l, o.d)[i] =
            (r[0] ? Half::kOne : 0u) | (r[1] ? uint32_t(Half::kOne) << 16 : 0u);
        break;
      case Ty::bf16x2:
        at<uint32_t>(l, o.d)[i] =
            (r[0] ? Bf16::kOne : 0u) | (r[1] ? uint32_t(Bf16::kOne) << 16 : 0u);
        break;
      default:
        if (x2)
          at<uint32_t>(l, o.d)[i] = (r[0] ? 0xFFFFu : 0u) | (r[1] ? 0xFFFF0000u : 0u);
        else
          at<uint32_t>(l, o.d)[i] = r[0] ? ~0u : 0;
    }
  }
}

Fn setp_function(const Op& o) {
  Cmp c = Cmp(o.sub);
  switch (o.ty) {
    case Ty::b16:
    case Ty::u16: return setp_int<uint16_t>(c);
    case Ty::s16: return setp_int<int16_t>(c);
    case Ty::b32:
    case Ty::u32: return setp_int<uint32_t>(c);
    case Ty::s32: return setp_int<int32_t>(c);
    case Ty::b64:
    case Ty::u64: return setp_int<uint64_t>(c);
    case Ty::s64: return setp_int<int64_t>(c);
    case Ty::f32: return o.ftz ? setp_float<float, true>(c) : setp_float<float, false>(c);
    case Ty::f64: return setp_float<double, false>(c);
    case Ty::f16:
    case Ty::f16x2:
    case Ty::bf16:
    case Ty::bf16x2: return setp_half;
    default: return nullptr;
  }
}

}  // namespace

Fn find_compare(Alu op, const Op& o) { return op == Alu::set ? set_any : setp_function(o); }

}  // namespace cudasim::CUDASIM_ISA
