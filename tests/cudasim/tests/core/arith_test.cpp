// SPDX-License-Identifier: Apache-2.0
// Every arithmetic instruction against a host model written apart from the
// interpreter. Each case is a PTX line over operands %a %b %c (and predicate %q)
// with result %d; the module is generated, and `--dump-ptx` lets ptxas check it.
#include "arith_cases.h"

namespace {

const std::vector<uint64_t> kIntSpecials = {0,
                                            1,
                                            2,
                                            3,
                                            0x7F,
                                            0x80,
                                            0xFF,
                                            0x7FFF,
                                            0x8000,
                                            0xFFFF,
                                            0x7FFFFFFF,
                                            0x80000000,
                                            0xFFFFFFFF,
                                            0x7FFFFFFFFFFFFFFF,
                                            0x8000000000000000,
                                            ~0ull};

uint64_t pick(char pool, int bits, int operand, std::mt19937_64& r) {
  auto fp = [&](int e,
                int m) -> uint64_t {  // a float of e exponent and m mantissa bits, from all classes
    uint64_t sign = r() & 1, emax = (1ull << e) - 1, exp, man = r() & ((1ull << m) - 1),
             bias = emax / 2;
    switch (r() % 10) {
      case 0: exp = 0; break;
      case 1:
        exp = emax;
        if (r() & 1) man = 0;
        break;
      case 2: exp = 0, man = 0; break;
      case 3:
        exp = bias + r() % 3 - 1;
        if (r() & 1) man = 0;
        break;
      case 4:
      case 5:
        exp = bias + r() % 70 - 20;
        man &= ~((1ull << (r() % uint64_t(m))) - 1);
        break;
      case 6: exp = r() % 5; break;
      case 7: exp = emax - 1 - r() % 4; break;
      default: exp = bias + r() % 12 - 6; break;
    }
    exp = std::min(exp, emax);
    return sign << (e + m) | exp << m | man;
  };
  uint64_t v;
  switch (pool) {
    case 'f': v = fp(8, 23); break;
    case 'F':
      do v = fp(8, 23);
      while (std::isnan(f(v)));
      break;
    case 'g': v = fp(11, 52); break;
    case 'G':
      do v = fp(11, 52);
      while (std::isnan(g(v)));
      break;
    case 'h': v = fp(5, 10) | fp(5, 10) << 16; break;
    case 'H':
      do v = fp(5, 10);
      while ((v & 0x7FFF) > 0x7C00);
      break;
    case 'e': v = fp(8, 7) | fp(8, 7) << 16; break;
    case 's':
    case 'S':
      if (operand > 0 || pool == 'S') {
        v = r() % 4 ? r() % 70 : r();
        break;
      }
      [[fallthrough]];
    default:
      switch (r() % 4) {
        case 0: v = kIntSpecials[r() % kIntSpecials.size()]; break;
        case 1: v = 0 - (r() % 300); break;
        case 2: v = r() >> (r() % 64); break;
        default: v = r(); break;
      }
  }
  if (bits < 64) v &= (1ull << bits) - 1;
  if (pool == 'z' && operand == 1 && v == 0) v = 3;
  return v;
}

int bits_of(char w) { return w == 'h' ? 16 : w == 'w' ? 32 : w == 'd' ? 64 : 1; }

std::string kernel_text(size_t index, const Case& c) {
  std::ostringstream s;
  s << ".visible .entry k" << index
    << "(.param .u64 in, .param .u64 out)\n{\n\t.reg .b64 %base, %o, %off, %va, %vb, %vc, "
       "%vd;\n\t.reg .b32 %t, %lo;\n\t.reg .pred %q, %r;\n";
  for (size_t i = 0; i < c.types.size(); ++i) {
    const char* reg = c.types[i] == 'p'   ? ".pred"
                      : c.types[i] == 'h' ? ".b16"
                      : c.types[i] == 'w' ? ".b32"
                                          : ".b64";
    s << "\t.reg " << reg << " %"
      << "dabc"[i] << ";\n";
  }
  s << "\tmov.u32 %t, %tid.x;\n\tld.param.u64 %base, [in];\n\tld.param.u64 %o, "
       "[out];\n\tmul.wide.u32 %off, %t, 24;\n\tadd.u64 %base, %base, %off;\n"
       "\tmul.wide.u32 %off, %t, 8;\n\tadd.u64 %o, %o, %off;\n\tld.global.u64 %va, "
       "[%base];\n\tld.global.u64 %vb, [%base+8];\n\tld.global.u64 %vc, [%base+16];\n"
       "\tcvt.u32.u64 %lo, %vb;\n\tand.b32 %lo, %lo, 1;\n\tsetp.ne.u32 %q, %lo, 0;\n";
  for (size_t i = 1; i < c.types.size(); ++i) {
    char n = "dabc"[i];
    if (c.types[i] == 'd')
      s << "\tmov.b64 %" << n << ", %v" << n << ";\n";
    else
      s << "\tcvt.u" << bits_of(c.types[i]) << ".u64 %" << n << ", %v" << n << ";\n";
  }
  if (c.types[0] == 'p')
    s << "\tsetp.ne.u32 %d, %lo, %lo;\n";
  else
    s << "\tmov.b" << bits_of(c.types[0]) << " %d, 0;\n";
  s << "\t" << c.ptx << (c.ptx[0] == '{' ? "\n" : ";\n");
  if (c.types[0] == 'p')
    s << "\tselp.u64 %vd, 1, 0, %d;\n";
  else if (c.types[0] == 'd')
    s << "\tmov.b64 %vd, %d;\n";
  else
    s << "\tcvt.u64.u" << bits_of(c.types[0]) << " %vd, %d;\n";
  s << "\tst.global.u64 [%o], %vd;\n\tret;\n}\n";
  return s.str();
}

void build() {
  if (!cases().empty()) return;
  integer_cases();
  float_cases();
  conversion_cases();
}

std::string module_text() {
  std::string s = ".version 8.8\n.target sm_100\n.address_size 64\n";
  for (size_t i = 0; i < cases().size(); ++i) s += kernel_text(i, cases()[i]);
  return s;
}

bool close_enough(const Case& c, uint64_t got, uint64_t want) {
  if (got == want) return true;
  if (c.types[0] == 'd' && (c.pool == 'g' || c.pool == 'G'))
    return std::isnan(g(got)) && std::isnan(g(want));
  if (!c.ulps) return false;
  double a = f(got), b = f(want);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::fabs(a - b) <= c.ulps * std::max(std::ldexp(std::fabs(b), -23), 0x1p-149);
}

}  // namespace

void dump_arith_ptx(const char* path) {
  build();
  std::ofstream(path) << module_text();
}

TEST(arithmetic_differential) {
  build();
  Device dev;
  Loaded m(dev);
  m.module = load_ptx(module_text(), "generated");
  const int threads = 256, rounds = 12;
  std::mt19937_64 r(20260101);
  uint64_t in = dev.alloc(threads * 24), out = dev.alloc(threads * 8);
  for (size_t i = 0; i < cases().size(); ++i) {
    const Case& c = cases()[i];
    for (int round = 0; round < rounds; ++round) {
      uint64_t* v = dev.ptr<uint64_t>(in);
      for (int t = 0; t < threads; ++t)
        for (size_t k = 0; k < 3; ++k)
          v[3 * t + int(k)] =
              k + 1 < c.types.size() ? pick(c.pool, bits_of(c.types[k + 1]), int(k), r) : r();
      auto res = m.run("k" + std::to_string(i), {1}, {threads}, Args() << in << out);
      if (!check(res.fault.message.empty(), c.ptx + ": " + res.fault.message)) break;
      const uint64_t* d = dev.ptr<uint64_t>(out);
      bool bad = false;
      for (int t = 0; t < threads && !bad; ++t) {
        uint64_t want = c.model(v[3 * t], v[3 * t + 1], v[3 * t + 2]);
        if (close_enough(c, d[t], want)) continue;
        char s[300];
        snprintf(s, sizeof s, "%s: a=%llx b=%llx c=%llx gave %llx, not %llx", c.ptx.c_str(),
                 (unsigned long long)v[3 * t], (unsigned long long)v[3 * t + 1],
                 (unsigned long long)v[3 * t + 2], (unsigned long long)d[t],
                 (unsigned long long)want);
        bad = !check(false, s);
      }
      if (bad) break;
      ++g_checks;
    }
  }
  printf("     %zu instructions, %d operand sets each\n", cases().size(), threads * rounds);
}
