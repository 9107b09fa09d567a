// SPDX-License-Identifier: Apache-2.0
// Models of integer arithmetic.
#include "arith_cases.h"

void integer_cases() {
  struct T {
    const char* name;
    char w;
    int bits;
    bool s;
  };
  const T types[] = {{"u16", 'h', 16, false}, {"s16", 'h', 16, true},  {"u32", 'w', 32, false},
                     {"s32", 'w', 32, true},  {"u64", 'd', 64, false}, {"s64", 'd', 64, true}};
  for (const T& t : types) {
    std::string n = t.name;
    int B = t.bits;
    bool S = t.s;
    auto v = [=](uint64_t x) -> i128 { return S ? i128(sx(x, B)) : i128(zx(x, B)); };
    add("add." + n + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return zx(uint64_t(v(a) + v(b)), B); });
    add("sub." + n + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return zx(uint64_t(v(a) - v(b)), B); });
    add("mul.lo." + n + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return zx(uint64_t(u128(v(a)) * u128(v(b))), B); });
    add("mul.hi." + n + " %d, %a, %b", w3(t.w), 'i', [=](auto a, auto b, auto) {
      return S ? zx(uint64_t((v(a) * v(b)) >> B), B)
               : zx(uint64_t((u128(v(a)) * u128(v(b))) >> B), B);
    });
    add("mad.lo." + n + " %d, %a, %b, %c", w4(t.w), 'i', [=](auto a, auto b, auto c) {
      return zx(uint64_t(u128(v(a)) * u128(v(b)) + u128(v(c))), B);
    });
    add("mad.hi." + n + " %d, %a, %b, %c", w4(t.w), 'i', [=](auto a, auto b, auto c) {
      uint64_t h = S ? uint64_t((v(a) * v(b)) >> B) : uint64_t((u128(v(a)) * u128(v(b))) >> B);
      return zx(h + uint64_t(v(c)), B);
    });
    if (B < 64) {
      char big = B == 16 ? 'w' : 'd';
      add("mul.wide." + n + " %d, %a, %b", std::string{big, t.w, t.w}, 'i',
          [=](auto a, auto b, auto) { return zx(uint64_t(v(a) * v(b)), 2 * B); });
      add("mad.wide." + n + " %d, %a, %b, %c", std::string{big, t.w, t.w, big}, 'i',
          [=](auto a, auto b, auto c) { return zx(uint64_t(v(a) * v(b)) + c, 2 * B); });
    }
    add("sad." + n + " %d, %a, %b, %c", w4(t.w), 'i', [=](auto a, auto b, auto c) {
      i128 d = v(a) - v(b);
      return zx(uint64_t((d < 0 ? -d : d)) + c, B);
    });
    add("div." + n + " %d, %a, %b", w3(t.w), 'z',
        [=](auto a, auto b, auto) { return zx(uint64_t(v(a) / v(b)), B); });
    add("rem." + n + " %d, %a, %b", w3(t.w), 'z',
        [=](auto a, auto b, auto) { return zx(uint64_t(v(a) % v(b)), B); });
    add("min." + n + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return zx(v(a) < v(b) ? a : b, B); });
    add("max." + n + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return zx(v(a) > v(b) ? a : b, B); });
    add("shr." + n + " %d, %a, %b", std::string{t.w, t.w, 'w'}, 's', [=](auto a, auto b, auto) {
      uint32_t k = std::min<uint32_t>(uint32_t(b), uint32_t(B));
      return zx(uint64_t(v(a) >> k), B);
    });
    if (S) {
      add("abs." + n + " %d, %a", std::string(2, t.w), 'i',
          [=](auto a, auto, auto) { return zx(uint64_t(v(a) < 0 ? -v(a) : v(a)), B); });
      add("neg." + n + " %d, %a", std::string(2, t.w), 'i',
          [=](auto a, auto, auto) { return zx(uint64_t(-v(a)), B); });
    }
    for (const char* c : {"eq", "ne", "lt", "le", "gt", "ge"}) {
      std::string op = c;
      auto cmp = [=](uint64_t a, uint64_t b) {
        i128 x = v(a), y = v(b);
        return op == "eq"   ? x == y
               : op == "ne" ? x != y
               : op == "lt" ? x < y
               : op == "le" ? x <= y
               : op == "gt" ? x > y
                            : x >= y;
      };
      add("setp." + op + "." + n + " %d, %a, %b", std::string{'p', t.w, t.w}, 'i',
          [=](auto a, auto b, auto) { return uint64_t(cmp(a, b)); });
      add("setp." + op + ".and." + n + " %d, %a, %b, !%q", std::string{'p', t.w, t.w}, 'i',
          [=](auto a, auto b, auto) { return uint64_t(cmp(a, b) && !(b & 1)); });
      add("setp." + op + ".xor." + n + " %r|%d, %a, %b, %q", std::string{'p', t.w, t.w}, 'i',
          [=](auto a, auto b, auto) { return uint64_t(!cmp(a, b) != bool(b & 1)); });
      if (B >= 16)
        add("set." + op + ".u32." + n + " %d, %a, %b", std::string{'w', t.w, t.w}, 'i',
            [=](auto a, auto b, auto) { return cmp(a, b) ? 0xFFFFFFFFull : 0; });
      add("set." + op + ".f32." + n + " %d, %a, %b", std::string{'w', t.w, t.w}, 'i',
          [=](auto a, auto b, auto) { return cmp(a, b) ? 0x3F800000ull : 0; });
    }
    add("slct." + n + ".s32 %d, %a, %b, %c", std::string{t.w, t.w, t.w, 'w'}, 'i',
        [=](auto a, auto b, auto c) { return zx(int32_t(c) >= 0 ? a : b, B); });
    add("slct." + n + ".f32 %d, %a, %b, %c", std::string{t.w, t.w, t.w, 'w'}, 'i',
        [=](auto a, auto b, auto c) { return zx(f(c) >= 0 ? a : b, B); });
    if (B >= 32) {
      add("bfe." + n + " %d, %a, %b, %c", std::string{t.w, t.w, 'w', 'w'}, 's',
          [=](auto a, auto b, auto c) {
            int pos = b & 0xFF, len = c & 0xFF, msb = B - 1;
            bool sbit = S && len ? a >> std::min(pos + len - 1, msb) & 1 : false;
            uint64_t d = 0;
            for (int i = 0; i <= msb; ++i)
              d |= uint64_t(i < len && pos + i <= msb ? a >> (pos + i) & 1 : uint64_t(sbit)) << i;
            return d;
          });
      for (bool shift : {false, true})
        add(std::string("bfind.") + (shift ? "shiftamt." : "") + n + " %d, %a",
            std::string{'w', t.w}, 'i', [=](auto a, auto, auto) -> uint64_t {
              uint64_t x = S && sx(a, B) < 0 ? zx(~a, B) : zx(a, B);
              for (int i = B - 1; i >= 0; --i)
                if (x >> i & 1) return uint64_t(shift ? B - 1 - i : i);
              return 0xFFFFFFFF;
            });
    }
  }
  struct W {
    char w;
    int bits;
  };
  for (W t : {W{'h', 16}, W{'w', 32}, W{'d', 64}}) {
    std::string n = "b" + std::to_string(t.bits);
    int B = t.bits;
    add("and." + n + " %d, %a, %b", w3(t.w), 'i', [](auto a, auto b, auto) { return a & b; });
    add("or." + n + " %d, %a, %b", w3(t.w), 'i', [](auto a, auto b, auto) { return a | b; });
    add("xor." + n + " %d, %a, %b", w3(t.w), 'i', [](auto a, auto b, auto) { return a ^ b; });
    add("not." + n + " %d, %a", std::string(2, t.w), 'i',
        [=](auto a, auto, auto) { return zx(~a, B); });
    add("cnot." + n + " %d, %a", std::string(2, t.w), 'i',
        [=](auto a, auto, auto) { return uint64_t(zx(a, B) == 0); });
    add("shl." + n + " %d, %a, %b", std::string{t.w, t.w, 'w'}, 's',
        [=](auto a, auto b, auto) { return uint32_t(b) >= uint32_t(B) ? 0 : zx(a << b, B); });
    add("selp." + n + " %d, %a, %b, %q", w3(t.w), 'i',
        [](auto a, auto b, auto) { return b & 1 ? a : b; });
    add("selp." + n + " %d, %a, %b, !%q", w3(t.w), 'i',
        [](auto a, auto b, auto) { return b & 1 ? b : a; });
    add("mov." + n + " %d, %a", std::string(2, t.w), 'i', [](auto a, auto, auto) { return a; });
    add("@%q add.u" + std::to_string(B) + " %d, %a, %b", w3(t.w), 'i',
        [=](auto a, auto b, auto) { return b & 1 ? zx(a + b, B) : 0; });
    if (B == 16) continue;
    add("popc." + n + " %d, %a", std::string{'w', t.w}, 'i', [](auto a, auto, auto) {
      uint64_t k = 0;
      for (; a; a &= a - 1) ++k;
      return k;
    });
    add("clz." + n + " %d, %a", std::string{'w', t.w}, 'i', [=](auto a, auto, auto) {
      uint64_t k = 0;
      for (int i = B - 1; i >= 0 && !(a >> i & 1); --i) ++k;
      return k;
    });
    add("brev." + n + " %d, %a", std::string(2, t.w), 'i', [=](auto a, auto, auto) {
      uint64_t r = 0;
      for (int i = 0; i < B; ++i) r |= (a >> i & 1) << (B - 1 - i);
      return r;
    });
    for (int pos : {0, 5, 31, 40, 255})
      for (int len : {0, 1, 7, 32, 64})
        add("bfi." + n + " %d, %a, %b, " + std::to_string(pos) + ", " + std::to_string(len),
            w3(t.w), 'i', [=](auto a, auto b, auto) {
              for (int i = 0; i < len && pos + i < B; ++i)
                b = (b & ~(1ull << (pos + i))) | (a >> i & 1) << (pos + i);
              return b;
            });
  }
  add("add.sat.s32 %d, %a, %b", "www", 'i', [](auto a, auto b, auto) {
    int64_t r = sx(a, 32) + sx(b, 32);
    return zx(uint64_t(std::clamp<int64_t>(r, INT32_MIN, INT32_MAX)), 32);
  });
  add("sub.sat.s32 %d, %a, %b", "www", 'i', [](auto a, auto b, auto) {
    int64_t r = sx(a, 32) - sx(b, 32);
    return zx(uint64_t(std::clamp<int64_t>(r, INT32_MIN, INT32_MAX)), 32);
  });
  add("mad.hi.sat.s32 %d, %a, %b, %c", "wwww", 'i', [](auto a, auto b, auto c) {
    int64_t r = ((sx(a, 32) * sx(b, 32)) >> 32) + sx(c, 32);
    return zx(uint64_t(std::clamp<int64_t>(r, INT32_MIN, INT32_MAX)), 32);
  });
  for (bool s : {false, true}) {
    std::string n = s ? "s32" : "u32";
    auto v = [=](uint64_t x) { return s ? i128(sx(x & 0xFFFFFF, 24)) : i128(x & 0xFFFFFF); };
    add("mul24.lo." + n + " %d, %a, %b", "www", 'i',
        [=](auto a, auto b, auto) { return zx(uint64_t(v(a) * v(b)), 32); });
    add("mul24.hi." + n + " %d, %a, %b", "www", 'i',
        [=](auto a, auto b, auto) { return zx(uint64_t((v(a) * v(b)) >> 16), 32); });
    add("mad24.lo." + n + " %d, %a, %b, %c", "wwww", 'i',
        [=](auto a, auto b, auto c) { return zx(uint64_t(v(a) * v(b)) + c, 32); });
    add("mad24.hi." + n + " %d, %a, %b, %c", "wwww", 'i',
        [=](auto a, auto b, auto c) { return zx(uint64_t((v(a) * v(b)) >> 16) + c, 32); });
    for (bool s2 : {false, true}) {
      std::string m = s2 ? "s32" : "u32";
      auto byte = [](uint64_t x, int k, bool sg) {
        return sg ? sx(x >> (8 * k) & 0xFF, 8) : int64_t(x >> (8 * k) & 0xFF);
      };
      auto half = [](uint64_t x, int k, bool sg) {
        return sg ? sx(x >> (16 * k) & 0xFFFF, 16) : int64_t(x >> (16 * k) & 0xFFFF);
      };
      add("dp4a." + n + "." + m + " %d, %a, %b, %c", "wwww", 'i', [=](auto a, auto b, auto c) {
        int64_t r = int64_t(c);
        for (int k = 0; k < 4; ++k) r += byte(a, k, s) * byte(b, k, s2);
        return zx(uint64_t(r), 32);
      });
      for (bool hi : {false, true})
        add(std::string("dp2a.") + (hi ? "hi." : "lo.") + n + "." + m + " %d, %a, %b, %c", "wwww",
            'i', [=](auto a, auto b, auto c) {
              int64_t r = int64_t(c);
              for (int k = 0; k < 2; ++k) r += half(a, k, s) * byte(b, k + (hi ? 2 : 0), s2);
              return zx(uint64_t(r), 32);
            });
    }
    for (bool clamp : {false, true})
      add(std::string("szext.") + (clamp ? "clamp." : "wrap.") + n + " %d, %a, %b", "www", 's',
          [=](auto a, auto b, auto) {
            uint32_t k = uint32_t(b);
            if (clamp && k >= 32) return zx(a, 32);
            k &= 31;
            uint64_t low = a & ((1ull << k) - 1);
            return k && s && (a >> (k - 1) & 1) ? zx(low | ~((1ull << k) - 1), 32) : low;
          });
  }
  for (bool clamp : {false, true}) {
    add(std::string("bmsk.") + (clamp ? "clamp" : "wrap") + ".b32 %d, %a, %b", "www", 'S',
        [=](auto a, auto b, auto) {
          uint64_t pos = clamp ? std::min<uint64_t>(uint32_t(a), 32) : a & 31,
                   len = clamp ? std::min<uint64_t>(uint32_t(b), 32) : b & 31, r = 0;
          for (uint64_t i = pos; i < pos + len && i < 32; ++i) r |= 1ull << i;
          return r;
        });
    for (bool right : {false, true})
      add(std::string("shf.") + (right ? "r." : "l.") + (clamp ? "clamp" : "wrap") +
              ".b32 %d, %a, %b, %c",
          "wwww", 'S', [=](auto a, auto b, auto c) {
            uint64_t k = clamp ? std::min<uint64_t>(uint32_t(c), 32) : c & 31;
            u128 v = u128(b) << 32 | a;
            return right ? zx(uint64_t(v >> k), 32) : zx(uint64_t((v << k) >> 32), 32);
          });
  }
  for (int lut : {0x00, 0x01, 0x80, 0x96, 0xE8, 0xCA, 0x3C, 0xFE, 0xB4, 0x1D, 0xFF, 0x6A})
    add("lop3.b32 %d, %a, %b, %c, " + std::to_string(lut), "wwww", 'i',
        [=](auto a, auto b, auto c) {
          uint64_t r = 0;
          for (int i = 0; i < 32; ++i)
            r |= uint64_t(lut >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
          return r;
        });
  const char* modes[] = {"", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16"};
  for (int k = 0; k < 7; ++k)
    add(std::string("prmt.b32") + modes[k] + " %d, %a, %b, %c", "wwww", 'i',
        [=](auto a, auto b, auto c) {
          static const int table[7][4][4] = {
              {},  // rows: selector, columns: result byte 0..3
              {{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}},
              {{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}},
              {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}},
              {{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}},
              {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}},
              {{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}}};
          uint64_t v = b << 32 | a, r = 0;
          for (int i = 0; i < 4; ++i) {
            if (k == 0) {
              int sel = c >> (4 * i) & 15;
              uint64_t x = v >> (8 * (sel & 7)) & 0xFF;
              if (sel & 8) x = x & 0x80 ? 0xFF : 0;
              r |= x << (8 * i);
            } else
              r |= (v >> (8 * table[k][c & 3][i]) & 0xFF) << (8 * i);
          }
          return r;
        });
  for (int base : {0, 7, 31})
    for (int off : {0, 1, 3, -1, -4})
      add("fns.b32 %d, %a, " + std::to_string(base) + ", " + std::to_string(off), "ww", 'i',
          [=](auto a, auto, auto) -> uint64_t {
            if (off == 0) return a >> base & 1 ? uint64_t(base) : 0xFFFFFFFF;
            int left = std::abs(off);
            for (int i = base; i >= 0 && i<32; i += off> 0 ? 1 : -1)
              if (a >> i & 1 && --left == 0) return uint64_t(i);
            return 0xFFFFFFFF;
          });
  for (bool sum : {false, true})
    add(std::string("vabsdiff4.u32.u32.u32") + (sum ? ".add" : "") + " %d, %a, %b, %c", "wwww", 'i',
        [=](auto a, auto b, auto c) {
          uint64_t r = 0, t = c;
          for (int k = 0; k < 32; k += 8) {
            int d = int(a >> k & 255) - int(b >> k & 255);
            r |= uint64_t(std::abs(d)) << k;
            t += uint64_t(std::abs(d));
          }
          return sum ? zx(t, 32) : r;
        });
  // carry chains: 64-bit (128-bit) sums in two halves
  for (int B : {32, 64}) {
    char w = B == 32 ? 'w' : 'd';
    std::string t = ".u" + std::to_string(B);
    auto hi = [=](u128 v) { return zx(uint64_t(v >> B), B); };
    add("{ .reg .b" + std::to_string(B) + " t; add.cc" + t + " t, %a, %b; addc" + t +
            " %d, %c, %a; }",
        w4(w), 'i', [=](auto a, auto b, auto c) { return zx(c + a + hi(u128(a) + b), B); });
    add("{ .reg .b" + std::to_string(B) + " t; sub.cc" + t + " t, %a, %b; subc" + t +
            " %d, %c, %b; }",
        w4(w), 'i', [=](auto a, auto b, auto c) { return zx(c - b - (a < b ? 1 : 0), B); });
    add("{ .reg .b" + std::to_string(B) + " t; add.cc" + t + " t, %a, %b; addc.cc" + t +
            " t, %a, %c; addc" + t + " %d, 0, 0; }",
        w4(w), 'i', [=](auto a, auto b, auto c) { return hi(u128(a) + c + hi(u128(a) + b)); });
    add("{ .reg .b" + std::to_string(B) + " t; mad.lo.cc" + t + " t, %a, %b, %c; madc.hi" + t +
            " %d, %a, %b, %c; }",
        w4(w), 'i', [=](auto a, auto b, auto c) {
          u128 p = u128(a) * b;
          return zx(hi(p) + c + hi(u128(zx(uint64_t(p), B)) + c), B);
        });
  }
  for (const char* op : {"add", "min", "max"})
    for (bool s : {false, true}) {
      std::string o = op;
      add(o + (s ? ".s16x2" : ".u16x2") + " %d, %a, %b", "www", 'i', [=](auto a, auto b, auto) {
        uint64_t r = 0;
        for (int k = 0; k < 32; k += 16) {
          int64_t x = s ? sx(a >> k & 0xFFFF, 16) : int64_t(a >> k & 0xFFFF),
                  y = s ? sx(b >> k & 0xFFFF, 16) : int64_t(b >> k & 0xFFFF);
          r |= zx(uint64_t(o == "add"   ? x + y
                           : o == "min" ? std::min(x, y)
                                        : std::max(x, y)),
                  16)
               << k;
        }
        return r;
      });
    }
}
