// SPDX-License-Identifier: Apache-2.0
// Models of cvt.
#include "arith_cases.h"

namespace {

double to_integral(double v, int mode) {
  return rounded(mode, [&] {
    volatile double x = v;
    return std::nearbyint(x);
  });
}

}  // namespace

void conversion_cases() {
  struct I {
    const char* n;
    int bits;
    bool s;
  };
  const I ints[] = {{"u8", 8, false},   {"s8", 8, true},   {"u16", 16, false}, {"s16", 16, true},
                    {"u32", 32, false}, {"s32", 32, true}, {"u64", 64, false}, {"s64", 64, true}};
  auto reg = [](int bits) { return bits <= 16 ? 'h' : bits == 32 ? 'w' : 'd'; };
  auto regbits = [](int bits) { return bits <= 16 ? 16 : bits; };
  for (const I& d : ints)
    for (const I& s : ints) {
      auto v = [=](uint64_t a) { return s.s ? i128(sx(a, s.bits)) : i128(zx(a, s.bits)); };
      i128 hi = (i128(1) << (d.s ? d.bits - 1 : d.bits)) - 1, lo = d.s ? -hi - 1 : 0;
      int rb = regbits(d.bits);
      std::string types{reg(d.bits), reg(s.bits)};
      auto ext = [=](uint64_t x) { return zx(d.s ? uint64_t(sx(x, d.bits)) : zx(x, d.bits), rb); };
      if (std::string(d.n) != s.n)
        add(std::string("cvt.") + d.n + "." + s.n + " %d, %a", types, 'i',
            [=](auto a, auto, auto) { return ext(uint64_t(v(a))); });
      bool can_saturate = hi < (i128(1) << (s.s ? s.bits - 1 : s.bits)) - 1 || (s.s && !d.s);
      if (can_saturate)
        add(std::string("cvt.sat.") + d.n + "." + s.n + " %d, %a", types, 'i',
            [=](auto a, auto, auto) {
              i128 x = v(a);
              return ext(uint64_t(x > hi ? hi : x < lo ? lo : x));
            });
      // a wider register than the type
      if (s.bits == 8)
        add(std::string("cvt.u32.") + s.n + " %d, %a", "ww", 'i',
            [=](auto a, auto, auto) { return zx(uint64_t(v(a)), 32); });
      if (d.bits == 8 && s.bits == 32)
        add(std::string("cvt.") + d.n + "." + s.n + " %d, %a", "ww", 'i',
            [=](auto a, auto, auto) { return zx(d.s ? uint64_t(sx(a, 8)) : zx(a, 8), 32); });
    }
  for (const I& s : ints) {
    auto v = [=](uint64_t a) { return s.s ? i128(sx(a, s.bits)) : i128(zx(a, s.bits)); };
    for (auto [rn, mode] : kRounds) {
      int md = mode;
      add(std::string("cvt.") + rn + ".f32." + s.n + " %d, %a", std::string{'w', reg(s.bits)}, 'i',
          [=](auto a, auto, auto) {
            return fb(rounded(md, [&] {
              i128 x = v(a);
              volatile int64_t i = int64_t(x);
              volatile uint64_t u = uint64_t(x);
              return s.s ? float(i) : float(u);
            }));
          });
      add(std::string("cvt.") + rn + ".f64." + s.n + " %d, %a", std::string{'d', reg(s.bits)}, 'i',
          [=](auto a, auto, auto) {
            return gb(rounded(md, [&] {
              i128 x = v(a);
              volatile int64_t i = int64_t(x);
              volatile uint64_t u = uint64_t(x);
              return s.s ? double(i) : double(u);
            }));
          });
    }
    add(std::string("cvt.rn.f16.") + s.n + " %d, %a", std::string{'h', reg(s.bits)}, 'i',
        [=](auto a, auto, auto) { return hb(__float128(v(a))); });
    if (s.bits > 8)
      add(std::string("cvt.rn.bf16.") + s.n + " %d, %a", std::string{'h', reg(s.bits)}, 'i',
          [=](auto a, auto, auto) { return bb(__float128(v(a))); });
  }
  const char* to_int[] = {"rni", "rzi", "rmi", "rpi"};
  for (const I& d : ints)
    for (int k = 0; k < 4; ++k)
      for (int from = 0; from < 4; ++from) {
        static const char* fn[] = {"f32", "f64", "f16", "bf16"};
        if (from == 3 && d.bits == 8) continue;
        int md = kRounds[k].second;
        char fr[] = {'w', 'd', 'h', 'h'}, fp[] = {'f', 'g', 'h', 'e'};
        add(std::string("cvt.") + to_int[k] + "." + d.n + "." + fn[from] + " %d, %a",
            std::string{reg(d.bits), fr[from]}, fp[from], [=](auto a, auto, auto) -> uint64_t {
              double x = from == 0   ? double(f(a))
                         : from == 1 ? g(a)
                         : from == 2 ? double(hq(a))
                                     : double(bq(a));
              if (std::isnan(x))
                return from == 1 || d.bits == 64
                           ? zx(d.s ? uint64_t(sx(1ull << (d.bits - 1), d.bits))
                                    : 1ull << (d.bits - 1),
                                regbits(d.bits))
                           : 0;
              x = to_integral(x, md);
              __float128 hi = (__float128)((u128(1) << (d.s ? d.bits - 1 : d.bits)) - 1),
                         lo = d.s ? -hi - 1 : 0;
              i128 r = x >= hi ? i128(hi) : x <= lo ? i128(lo) : i128(x);
              return zx(uint64_t(r), regbits(d.bits));
            });
      }
  for (int k = 0; k < 4; ++k) {
    int md = kRounds[k].second;
    std::string r = kRounds[k].first;
    add(std::string("cvt.") + to_int[k] + ".f32.f32 %d, %a", "ww", 'f',
        [=](auto a, auto, auto) { return fb(float(to_integral(f(a), md))); });
    add(std::string("cvt.") + to_int[k] + ".f64.f64 %d, %a", "dd", 'G',
        [=](auto a, auto, auto) { return gb(to_integral(g(a), md)); });
    add("cvt." + r + ".f32.f64 %d, %a", "wd", 'g', [=](auto a, auto, auto) {
      return fb(rounded(md, [&] {
        volatile double x = g(a);
        return float(x);
      }));
    });
    add("cvt." + r + ".ftz.f32.f64 %d, %a", "wd", 'g', [=](auto a, auto, auto) {
      return fb(flush(rounded(md, [&] {
        volatile double x = g(a);
        return float(x);
      })));
    });
  }
  add("cvt.f64.f32 %d, %a", "dw", 'F', [](auto a, auto, auto) { return gb(f(a)); });
  add("cvt.f32.f16 %d, %a", "wh", 'h', [](auto a, auto, auto) { return fb(float(hq(a))); });
  add("cvt.f64.f16 %d, %a", "dh", 'H', [](auto a, auto, auto) { return gb(double(hq(a))); });
  add("cvt.f32.bf16 %d, %a", "wh", 'e', [](auto a, auto, auto) { return fb(float(bq(a))); });
  add("cvt.rn.f16.f32 %d, %a", "hw", 'f', [](auto a, auto, auto) { return hb(f(a)); });
  add("cvt.rn.f16.f64 %d, %a", "hd", 'g', [](auto a, auto, auto) { return hb(g(a)); });
  add("cvt.rn.bf16.f32 %d, %a", "hw", 'f', [](auto a, auto, auto) { return bb(f(a)); });
  add("cvt.rz.f16.f32 %d, %a", "hw", 'F', [](auto a, auto, auto) {
    __float128 v = f(a);
    uint64_t r = hb(v);
    __float128 m = v < 0 ? -v : v, got = hq(r & 0x7FFF);
    if (got > m) r -= 1;
    return r;
  });
  add("cvt.rz.bf16.f32 %d, %a", "hw", 'F', [](auto a, auto, auto) { return a >> 16; });
  add("cvt.sat.f32.f32 %d, %a", "ww", 'f', [](auto a, auto, auto) { return fb(sat(f(a))); });
  add("cvt.rn.f16x2.f32 %d, %a, %b", "www", 'f',
      [](auto a, auto b, auto) { return hb(f(a)) << 16 | hb(f(b)); });
  add("cvt.rn.bf16x2.f32 %d, %a, %b", "www", 'f',
      [](auto a, auto b, auto) { return bb(f(a)) << 16 | bb(f(b)); });
  add("cvt.rn.relu.f16x2.f32 %d, %a, %b", "www", 'f', [](auto a, auto b, auto) {
    auto r = [](float x) { return std::isnan(x) ? 0x7FFFull : x <= 0 ? 0 : hb(x); };
    return r(f(a)) << 16 | r(f(b));
  });
  add("cvt.rna.tf32.f32 %d, %a", "ww", 'F', [](auto a, auto, auto) {
    return std::isfinite(f(a)) ? zx((a + 0x1000) & ~0x1FFFull, 32) : a;
  });
  // fp8 by nearest search over all codes
  auto fp8 = [](float x, bool e4) -> uint64_t {
    if (std::isnan(x)) return e4 ? 0x7F : 0x7F;
    double m = std::min(std::fabs(double(x)), 1e9), best = 1e300;
    uint64_t code = 0;
    for (uint64_t c = 0; c < (e4 ? 0x7F : 0x7C); ++c) {
      int e = int(e4 ? c >> 3 : c >> 2), mant = int(e4 ? c & 7 : c & 3), one = e4 ? 8 : 4,
          bias = e4 ? 7 : 15;
      double v = e ? std::ldexp(one + mant, e - bias - (e4 ? 3 : 2))
                   : std::ldexp(mant, 1 - bias - (e4 ? 3 : 2));
      double d = std::fabs(v - m);
      if (d < best || (d == best && !(c & 1))) best = d, code = c;
    }
    return code | (std::signbit(x) ? 0x80 : 0);
  };
  add("cvt.rn.satfinite.e4m3x2.f32 %d, %a, %b", "hww", 'f',
      [=](auto a, auto b, auto) { return fp8(f(a), true) << 8 | fp8(f(b), true); });
  add("cvt.rn.satfinite.e5m2x2.f32 %d, %a, %b", "hww", 'f',
      [=](auto a, auto b, auto) { return fp8(f(a), false) << 8 | fp8(f(b), false); });
  auto un8 = [](uint64_t c, bool e4) -> uint64_t {
    bool s = c & 0x80;
    c &= 0x7F;
    if (e4 ? c == 0x7F : c > 0x7C) return 0x7FFF;
    if (!e4 && c == 0x7C) return s ? 0xFC00 : 0x7C00;
    int e = int(e4 ? c >> 3 : c >> 2), mant = int(e4 ? c & 7 : c & 3), one = e4 ? 8 : 4,
        bias = e4 ? 7 : 15;
    double v = e ? std::ldexp(one + mant, e - bias - (e4 ? 3 : 2))
                 : std::ldexp(mant, 1 - bias - (e4 ? 3 : 2));
    return hb(s ? -v : v);
  };
  add("cvt.rn.f16x2.e4m3x2 %d, %a", "wh", 'i',
      [=](auto a, auto, auto) { return un8(a >> 8 & 0xFF, true) << 16 | un8(a & 0xFF, true); });
  add("cvt.rn.f16x2.e5m2x2 %d, %a", "wh", 'i',
      [=](auto a, auto, auto) { return un8(a >> 8 & 0xFF, false) << 16 | un8(a & 0xFF, false); });
  auto clamp = [](uint64_t a, int lo, int hi) { return std::clamp<int64_t>(sx(a, 32), lo, hi); };
  add("cvt.pack.sat.u16.s32 %d, %a, %b", "www", 'i', [=](auto a, auto b, auto) {
    return uint64_t(clamp(a, 0, 65535)) << 16 | uint64_t(clamp(b, 0, 65535));
  });
  add("cvt.pack.sat.s16.s32 %d, %a, %b", "www", 'i', [=](auto a, auto b, auto) {
    return zx(uint64_t(clamp(a, -32768, 32767)), 16) << 16 |
           zx(uint64_t(clamp(b, -32768, 32767)), 16);
  });
  add("cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c", "wwww", 'i', [=](auto a, auto b, auto c) {
    return zx(c << 16, 32) | uint64_t(clamp(a, 0, 255)) << 8 | uint64_t(clamp(b, 0, 255));
  });
  // packing moves
  add("mov.b64 %d, {%a, %b}", "dww", 'i', [](auto a, auto b, auto) { return b << 32 | a; });
  add("mov.b32 %d, {%a, %b}", "whh", 'i', [](auto a, auto b, auto) { return b << 16 | a; });
  add("{ .reg .b32 t; mov.b64 {t, %d}, %a; }", "wd", 'i',
      [](auto a, auto, auto) { return a >> 32; });
  add("{ .reg .b16 t; mov.b32 {%d, t}, %a; }", "hw", 'i',
      [](auto a, auto, auto) { return a & 0xFFFF; });
  add("mov.b64 %d, {%a, %b, %b, %a}", "dhh", 'i',
      [](auto a, auto b, auto) { return a | b << 16 | b << 32 | a << 48; });
}
