// SPDX-License-Identifier: Apache-2.0
// Models of floating-point arithmetic.
#include "arith_cases.h"

namespace {

template <class T>
T mn(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
}
template <class T>
T mx(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}

}  // namespace

void float_cases() {
  for (auto [rn, mode] : kRounds)
    for (bool z : {false, true})
      for (bool s : {false, true}) {
        std::string m = std::string(".") + rn + (z ? ".ftz" : "") + (s ? ".sat" : "") + ".f32";
        auto in = [=](uint64_t v) { return z ? flush(f(v)) : f(v); };
        auto out = [=](float v) {
          if (z) v = flush(v);
          return s ? fb(sat(v)) : fb(v);
        };
        int md = mode;
        add("add" + m + " %d, %a, %b", "www", 'f', [=](auto a, auto b, auto) {
          return out(rounded(md, [&] {
            volatile float x = in(a), y = in(b);
            return x + y;
          }));
        });
        add("sub" + m + " %d, %a, %b", "www", 'f', [=](auto a, auto b, auto) {
          return out(rounded(md, [&] {
            volatile float x = in(a), y = in(b);
            return x - y;
          }));
        });
        add("mul" + m + " %d, %a, %b", "www", 'f', [=](auto a, auto b, auto) {
          return out(rounded(md, [&] {
            volatile float x = in(a), y = in(b);
            return x * y;
          }));
        });
        add("fma" + m + " %d, %a, %b, %c", "wwww", 'f', [=](auto a, auto b, auto c) {
          return out(rounded(md, [&] {
            volatile float x = in(a), y = in(b), w = in(c);
            return std::fma(x, y, w);
          }));
        });
        if (s) continue;
        add(std::string("div.") + rn + (z ? ".ftz" : "") + ".f32 %d, %a, %b", "www", 'f',
            [=](auto a, auto b, auto) {
              return out(rounded(md, [&] {
                volatile float x = in(a), y = in(b);
                return x / y;
              }));
            });
        add(std::string("sqrt.") + rn + (z ? ".ftz" : "") + ".f32 %d, %a", "ww", 'f',
            [=](auto a, auto, auto) {
              return out(rounded(md, [&] {
                volatile float x = in(a);
                return std::sqrt(x);
              }));
            });
        add(std::string("rcp.") + rn + (z ? ".ftz" : "") + ".f32 %d, %a", "ww", 'f',
            [=](auto a, auto, auto) {
              return out(rounded(md, [&] {
                volatile float x = in(a);
                return 1.0f / x;
              }));
            });
        if (z) continue;
        std::string dm = std::string(".") + rn + ".f64";
        add("add" + dm + " %d, %a, %b", "ddd", 'g', [=](auto a, auto b, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a), y = g(b);
            return x + y;
          }));
        });
        add("sub" + dm + " %d, %a, %b", "ddd", 'g', [=](auto a, auto b, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a), y = g(b);
            return x - y;
          }));
        });
        add("mul" + dm + " %d, %a, %b", "ddd", 'g', [=](auto a, auto b, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a), y = g(b);
            return x * y;
          }));
        });
        add("fma" + dm + " %d, %a, %b, %c", "dddd", 'g', [=](auto a, auto b, auto c) {
          return gb(rounded(md, [&] {
            volatile double x = g(a), y = g(b), w = g(c);
            return std::fma(x, y, w);
          }));
        });
        add("div" + dm + " %d, %a, %b", "ddd", 'g', [=](auto a, auto b, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a), y = g(b);
            return x / y;
          }));
        });
        add("sqrt" + dm + " %d, %a", "dd", 'g', [=](auto a, auto, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a);
            return std::sqrt(x);
          }));
        });
        add("rcp" + dm + " %d, %a", "dd", 'g', [=](auto a, auto, auto) {
          return gb(rounded(md, [&] {
            volatile double x = g(a);
            return 1.0 / x;
          }));
        });
      }
  for (bool z : {false, true}) {
    std::string m = std::string(z ? ".ftz" : "") + ".f32";
    auto in = [=](uint64_t v) { return z ? flush(f(v)) : f(v); };
    add("min" + m + " %d, %a, %b", "www", 'f',
        [=](auto a, auto b, auto) { return fb(mn(in(a), in(b))); });
    add("max" + m + " %d, %a, %b", "www", 'f',
        [=](auto a, auto b, auto) { return fb(mx(in(a), in(b))); });
    add(std::string("min") + (z ? ".ftz" : "") + ".NaN.f32 %d, %a, %b", "www", 'f',
        [=](auto a, auto b, auto) {
          float x = in(a), y = in(b);
          return std::isnan(x) || std::isnan(y) ? 0x7FFFFFFF : fb(mn(x, y));
        });
    add(std::string("max") + (z ? ".ftz" : "") + ".xorsign.abs.f32 %d, %a, %b", "www", 'f',
        [=](auto a, auto b, auto) {
          float x = in(a), y = in(b), r = mx(std::fabs(x), std::fabs(y));
          return std::isnan(r)
                     ? 0x7FFFFFFF
                     : fb(std::copysign(r, std::signbit(x) != std::signbit(y) ? -1.0f : 1.0f));
        });
    auto approx = [&](const char* n, double (*fn)(double), double ulps) {
      add(
          std::string(n) + ".approx" + m + " %d, %a", "ww", 'F',
          [=](auto a, auto, auto) {
            float r = float(fn(in(a)));
            return fb(z ? flush(r) : r);
          },
          ulps);
    };
    approx(
        "ex2", [](double x) { return std::exp2(x); }, 1);
    approx(
        "lg2", [](double x) { return std::log2(x); }, 1);
    approx(
        "sin", [](double x) { return std::sin(x); }, 1);
    approx(
        "cos", [](double x) { return std::cos(x); }, 1);
    approx(
        "rsqrt", [](double x) { return 1 / std::sqrt(x); }, 1);
    approx(
        "rcp", [](double x) { return 1 / x; }, 1);
    approx(
        "sqrt", [](double x) { return std::sqrt(x); }, 1);
    add(
        "div.full" + m + " %d, %a, %b", "www", 'F',
        [=](auto a, auto b, auto) {
          float r = in(a) / in(b);
          return fb(z ? flush(r) : r);
        },
        2);
    for (const char* c : {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu",
                          "geu", "num", "nan"}) {
      std::string op = c;
      auto cmp = [=](auto x, auto y) {
        bool un = std::isnan(x) || std::isnan(y);
        if (op == "num") return !un;
        if (op == "nan") return un;
        std::string o = op.substr(0, 2);
        bool r = o == "eq"   ? x == y
                 : o == "ne" ? x != y
                 : o == "lt" ? x < y
                 : o == "le" ? x <= y
                 : o == "gt" ? x > y
                             : x >= y;
        return un ? op.size() == 3 : r;
      };
      add("setp." + op + m + " %d, %a, %b", "pww", 'f',
          [=](auto a, auto b, auto) { return uint64_t(cmp(in(a), in(b))); });
      add("setp." + op + ".or" + m + " %d, %a, %b, %q", "pww", 'f',
          [=](auto a, auto b, auto) { return uint64_t(cmp(in(a), in(b)) || (b & 1)); });
      if (z) continue;
      add("setp." + op + ".f64 %d, %a, %b", "pdd", 'g',
          [=](auto a, auto b, auto) { return uint64_t(cmp(g(a), g(b))); });
      add("setp." + op + ".f16 %d, %a, %b", "phh", 'h',
          [=](auto a, auto b, auto) { return uint64_t(cmp(double(hq(a)), double(hq(b)))); });
      add("setp." + op + ".bf16 %d, %a, %b", "phh", 'e',
          [=](auto a, auto b, auto) { return uint64_t(cmp(double(bq(a)), double(bq(b)))); });
      add("set." + op + ".u32.f32 %d, %a, %b", "www", 'f',
          [=](auto a, auto b, auto) { return cmp(f(a), f(b)) ? 0xFFFFFFFFull : 0; });
    }
  }
  add(
      "tanh.approx.f32 %d, %a", "ww", 'F',
      [](auto a, auto, auto) { return fb(float(std::tanh(double(f(a))))); }, 1);
  add("abs.f32 %d, %a", "ww", 'f', [](auto a, auto, auto) { return a & 0x7FFFFFFF; });
  add("neg.f32 %d, %a", "ww", 'f', [](auto a, auto, auto) { return a ^ 0x80000000; });
  add("abs.ftz.f32 %d, %a", "ww", 'F',
      [](auto a, auto, auto) { return fb(std::fabs(flush(f(a)))); });
  add("abs.f64 %d, %a", "dd", 'g', [](auto a, auto, auto) { return a & ~(1ull << 63); });
  add("neg.f64 %d, %a", "dd", 'g', [](auto a, auto, auto) { return a ^ (1ull << 63); });
  add("min.f64 %d, %a, %b", "ddd", 'G', [](auto a, auto b, auto) { return gb(mn(g(a), g(b))); });
  add("max.f64 %d, %a, %b", "ddd", 'G', [](auto a, auto b, auto) { return gb(mx(g(a), g(b))); });
  add("copysign.f32 %d, %a, %b", "www", 'f',
      [](auto a, auto b, auto) { return (a & 0x80000000) | (b & 0x7FFFFFFF); });
  add("copysign.f64 %d, %a, %b", "ddd", 'g',
      [](auto a, auto b, auto) { return (a & (1ull << 63)) | (b & ~(1ull << 63)); });
  add("testp.finite.f32 %d, %a", "pw", 'f',
      [](auto a, auto, auto) { return uint64_t(std::isfinite(f(a))); });
  add("testp.infinite.f32 %d, %a", "pw", 'f',
      [](auto a, auto, auto) { return uint64_t(std::isinf(f(a))); });
  add("testp.number.f32 %d, %a", "pw", 'f',
      [](auto a, auto, auto) { return uint64_t(!std::isnan(f(a))); });
  add("testp.notanumber.f64 %d, %a", "pd", 'g',
      [](auto a, auto, auto) { return uint64_t(std::isnan(g(a))); });
  add("testp.normal.f32 %d, %a", "pw", 'f',
      [](auto a, auto, auto) { return uint64_t(std::isnormal(f(a))); });
  add("testp.subnormal.f64 %d, %a", "pd", 'g',
      [](auto a, auto, auto) { return uint64_t(std::fpclassify(g(a)) == FP_SUBNORMAL); });
  // 16-bit floats, single and packed
  for (bool bf : {false, true}) {
    std::string t = bf ? "bf16" : "f16";
    char pool = bf ? 'e' : 'h';
    auto q = [=](uint64_t v) { return bf ? bq(v) : hq(v); };
    auto b16 = [=](__float128 v) { return bf ? bb(v) : hb(v); };
    using H = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;
    auto both = [&](const std::string& op, int n, H h) {
      std::string args = n == 1 ? " %d, %a" : n == 2 ? " %d, %a, %b" : " %d, %a, %b, %c";
      add(op + "." + t + args, std::string(size_t(n) + 1, 'h'), pool, h);
      add(op + "." + t + "x2" + args, std::string(size_t(n) + 1, 'w'), pool,
          [=](auto a, auto b, auto c) {
            return h(a & 0xFFFF, b & 0xFFFF, c & 0xFFFF) |
                   h(a >> 16 & 0xFFFF, b >> 16 & 0xFFFF, c >> 16 & 0xFFFF) << 16;
          });
    };
    auto is_nan = [=](uint64_t v) { return (v & 0x7FFF) > (bf ? 0x7F80u : 0x7C00u); };
    both("add.rn", 2, [=](auto a, auto b, auto) { return b16(q(a) + q(b)); });
    both("sub.rn", 2, [=](auto a, auto b, auto) { return b16(q(a) - q(b)); });
    both("mul.rn", 2, [=](auto a, auto b, auto) { return b16(q(a) * q(b)); });
    both("fma.rn", 3, [=](auto a, auto b, auto c) { return b16(fused(q(a), q(b), q(c))); });
    both("fma.rn.relu", 3, [=](auto a, auto b, auto c) {
      __float128 r = fused(q(a), q(b), q(c));
      return r != r ? 0x7FFF : r <= 0 ? 0 : b16(r);
    });
    both("neg", 1, [=](auto a, auto, auto) { return is_nan(a) ? 0x7FFFull : a ^ 0x8000; });
    both("abs", 1, [=](auto a, auto, auto) { return is_nan(a) ? 0x7FFFull : a & 0x7FFF; });
    both("min", 2, [=](auto a, auto b, auto) {
      if (is_nan(a) && is_nan(b)) return uint64_t(0x7FFF);
      float x = float(q(a)), y = float(q(b));
      return b16(mn(x, y));
    });
    both("max", 2, [=](auto a, auto b, auto) {
      if (is_nan(a) && is_nan(b)) return uint64_t(0x7FFF);
      float x = float(q(a)), y = float(q(b));
      return b16(mx(x, y));
    });
    both("max.NaN", 2, [=](auto a, auto b, auto) {
      if (is_nan(a) || is_nan(b)) return uint64_t(0x7FFF);
      float x = float(q(a)), y = float(q(b));
      return b16(mx(x, y));
    });
    if (!bf) {
      both("add.rn.sat", 2, [=](auto a, auto b, auto) {
        __float128 r = q(a) + q(b);
        return r != r || r <= 0 ? 0 : r >= 1 ? 0x3C00 : b16(r);
      });
      both("add.rn.ftz", 2, [=](auto a, auto b, auto) {
        auto fl = [](uint64_t v) { return (v & 0x7C00) == 0 ? v & 0x8000 : v; };
        return fl(b16(q(fl(a)) + q(fl(b))));
      });
    }
  }
}
