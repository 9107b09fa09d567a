// SPDX-License-Identifier: Apache-2.0
// Loads, stores and atomics of every type, from generated PTX, against the host.
#include <cmath>
#include <thread>

#include "driver.h"

namespace {

std::string header() { return ".version 8.8\n.target sm_100\n.address_size 64\n"; }
std::string prologue(const std::string& name, const std::string& regs) {
  return ".visible .entry " + name +
         "(.param .u64 in, .param .u64 out)\n{\n.reg .b64 %i, %o, %off;\n.reg .b32 %t;\n" + regs +
         "ld.param.u64 %i, [in];\nld.param.u64 %o, [out];\nmov.u32 %t, %tid.x;\n";
}

float f(uint64_t v) {
  uint32_t u = uint32_t(v);
  float x;
  memcpy(&x, &u, 4);
  return x;
}
double g(uint64_t v) {
  double x;
  memcpy(&x, &v, 8);
  return x;
}
uint64_t fb(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
uint64_t gb(double x) {
  uint64_t u;
  memcpy(&u, &x, 8);
  return u;
}
_Float16 h(uint64_t v) {
  uint16_t u = uint16_t(v);
  _Float16 x;
  memcpy(&x, &u, 2);
  return x;
}
uint64_t hb(_Float16 x) {
  uint16_t u;
  memcpy(&u, &x, 2);
  return u;
}
float b(uint64_t v) { return f(v << 16); }
uint64_t bb(float x) {
  uint64_t u = fb(x);
  return (u + 0x7FFF + (u >> 16 & 1)) >> 16;
}

}  // namespace

// Copies through registers of every type and vector length, in each space.
TEST(load_store_forms) {
  struct T {
    const char* name;
    int bytes;
  };
  const T types[] = {{"b8", 1},  {"u8", 1},  {"b16", 2}, {"s16", 2}, {"b32", 4},
                     {"f32", 4}, {"b64", 8}, {"f64", 8}, {"u64", 8}};
  std::string text = header();
  struct K {
    std::string name;
    int bytes;
  };
  std::vector<K> kernels;
  for (const T& t : types)
    for (int n : {1, 2, 4, 8})
      for (std::string path : {"global", "generic", "shared", "local", "volatile", "relaxed"}) {
        int bytes = t.bytes * n;
        if (bytes > 32 || (bytes > 16 && path != "global") || (n == 8 && t.bytes != 4)) continue;
        std::string name = "k" + std::to_string(kernels.size()), r = t.bytes == 8   ? ".b64"
                                                                     : t.bytes == 4 ? ".b32"
                                                                                    : ".b16";
        std::string v = n == 1 ? "%v0" : "{",
                    suffix = (n == 1 ? "" : ".v" + std::to_string(n)) + "." + t.name;
        for (int k = 0; k < n && n > 1; ++k) v += (k ? ", %v" : "%v") + std::to_string(k);
        if (n > 1) v += "}";
        text += prologue(name, ".reg " + r + " %v<8>;\n.reg .b64 %s;\n.shared .align 32 .b8 sh_" +
                                   name + "[8192];\n.local .align 32 .b8 lo[64];\n");
        text += "mul.wide.u32 %off, %t, " + std::to_string(bytes) +
                ";\nadd.u64 %i, %i, %off;\nadd.u64 %o, %o, %off;\n";
        if (path == "volatile")
          text += "ld.volatile.global" + suffix + " " + v + ", [%i];\nst.volatile.global" + suffix +
                  " [%o], " + v + ";\n";
        else if (path == "relaxed")
          text += "ld.relaxed.gpu.global" + suffix + " " + v + ", [%i];\nst.release.sys.global" +
                  suffix + " [%o], " + v + ";\n";
        else if (path == "generic")
          text += "ld" + suffix + " " + v + ", [%i+0];\nst" + suffix + " [%o+0], " + v + ";\n";
        else {
          text += "ld.global.nc.L1::no_allocate" +
                  std::string(bytes == 32 ? ".L2::evict_first" : "") + suffix + " " + v +
                  ", [%i];\n";
          if (path == "shared")
            text += "mov.u64 %s, sh_" + name + ";\nadd.u64 %s, %s, %off;\nst.shared" + suffix +
                    " [%s], " + v + ";\nld.shared" + suffix + " " + v + ", [%s];\n";
          if (path == "local")
            text += "mov.u64 %s, lo;\nst.local" + suffix + " [%s+32], " + v +
                    ";\ncvta.local.u64 %s, %s;\nld" + suffix + " " + v + ", [%s+32];\n";
          text += "st.global.cg" + suffix + " [%o], " + v + ";\n";
        }
        text += "ret;\n}\n";
        if (path == "relaxed" && n > 1) {
          text.resize(text.rfind(".visible"));
          continue;
        }
        kernels.push_back({name, bytes});
      }
  if (const char* p = getenv("CUDASIM_DUMP"))
    std::ofstream(std::string(p) + "/loadstore.ptx") << text;
  Device dev;
  Loaded m(dev);
  m.module = load_ptx(text, "generated");
  std::mt19937_64 r(4);
  std::vector<uint8_t> in(96 * 32);
  for (auto& x : in) x = uint8_t(r());
  uint64_t di = dev.upload(in), out = dev.alloc(96 * 32);
  for (const K& k : kernels) {
    memset(dev.host(out), 0, 96 * 32);
    m.ok(k.name, {1}, {96}, Args() << di << out);
    check(!memcmp(dev.host(out), in.data(), size_t(96 * k.bytes)),
          "copy of " + std::to_string(k.bytes) + " bytes, kernel " + k.name);
    if (k.bytes < 32) check(dev.host(out)[96 * k.bytes] == 0, "wrote past the end");
  }
  printf("     %zu forms\n", kernels.size());
}

// 40 threads apply one operation to one word; the order is lane order, so old values and the sum
// are known.
TEST(atomics_of_every_type) {
  using F = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;
  struct A {
    std::string op;
    int bytes;
    F f;
    char kind;
  };
  std::vector<A> ops;
  auto ints = [&](int bits) {
    std::string B = std::to_string(bits);
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    auto sx = [=](uint64_t v) { return int64_t(v << (64 - bits)) >> (64 - bits); };
    int n = bits / 8;
    ops.push_back({"add.u" + B, n, [=](auto o, auto v, auto) { return (o + v) & mask; }, 'i'});
    ops.push_back({"min.u" + B, n, [](auto o, auto v, auto) { return std::min(o, v); }, 'i'});
    ops.push_back(
        {"max.s" + B, n, [=](auto o, auto v, auto) { return sx(o) > sx(v) ? o : v; }, 'i'});
    ops.push_back(
        {"min.s" + B, n, [=](auto o, auto v, auto) { return sx(o) < sx(v) ? o : v; }, 'i'});
    ops.push_back({"max.u" + B, n, [](auto o, auto v, auto) { return std::max(o, v); }, 'i'});
    ops.push_back({"and.b" + B, n, [](auto o, auto v, auto) { return o & v; }, 'i'});
    ops.push_back({"or.b" + B, n, [](auto o, auto v, auto) { return o | v; }, 'i'});
    ops.push_back({"xor.b" + B, n, [](auto o, auto v, auto) { return o ^ v; }, 'i'});
    ops.push_back({"exch.b" + B, n, [](auto, auto v, auto) { return v; }, 'i'});
    ops.push_back({"cas.b" + B, n, [](auto o, auto v, auto c) { return o == v ? c : o; }, 'c'});
  };
  ints(32), ints(64);
  ops.push_back({"cas.b16", 2, [](auto o, auto v, auto c) { return o == v ? c : o; }, 'c'});
  ops.push_back({"inc.u32", 4, [](auto o, auto v, auto) { return o >= v ? 0 : o + 1; }, 's'});
  ops.push_back(
      {"dec.u32", 4, [](auto o, auto v, auto) { return o == 0 || o > v ? v : o - 1; }, 's'});
  ops.push_back({"add.f32", 4, [](auto o, auto v, auto) { return fb(f(o) + f(v)); }, 'f'});
  ops.push_back({"add.f64", 8, [](auto o, auto v, auto) { return gb(g(o) + g(v)); }, 'g'});
  ops.push_back({"add.noftz.f16", 2, [](auto o, auto v, auto) { return hb(h(o) + h(v)); }, 'h'});
  ops.push_back({"add.noftz.bf16", 2, [](auto o, auto v, auto) { return bb(b(o) + b(v)); }, 'e'});
  ops.push_back(
      {"add.noftz.f16x2", 4,
       [](auto o, auto v, auto) { return hb(h(o) + h(v)) | hb(h(o >> 16) + h(v >> 16)) << 16; },
       'H'});
  ops.push_back(
      {"add.noftz.bf16x2", 4,
       [](auto o, auto v, auto) { return bb(b(o) + b(v)) | bb(b(o >> 16) + b(v >> 16)) << 16; },
       'E'});
  std::string text = header();
  std::vector<std::string> spaces = {"global", "", "shared"};
  int id = 0;
  for (const A& a : ops)
    for (const std::string& s : spaces)
      for (bool red : {false, true}) {
        std::string n = std::to_string(id++),
                    r = a.bytes == 8   ? ".b64"
                        : a.bytes == 4 ? ".b32"
                                       : ".b16",
                    bits = std::to_string(a.bytes * 8);
        bool cas = a.kind == 'c', skip_red = red && (cas || a.op.substr(0, 4) == "exch");
        text += prologue(
            "k" + n,
            ".reg " + r +
                " %x, %c, %d;\n.reg .b64 %p, %a;\n.reg .pred %q;\n.shared .align 16 .b64 sh" + n +
                ";\n");
        // in: word, pad, then values (8 bytes each), then cas values
        text += "mul.wide.u32 %off, %t, 8;\nadd.u64 %p, %i, %off;\nld.global.b" + bits +
                " %x, [%p+16];\nld.global.b" + bits + " %c, [%p+528];\n";
        std::string target = "%i", space = s.empty() ? "" : "." + s;
        if (s == "shared") {
          text += "mov.u64 %a, sh" + n + ";\nsetp.eq.u32 %q, %t, 0;\n@%q ld.global.b" + bits +
                  " %d, [%i];\n@%q st.shared.b" + bits + " [%a], %d;\nbar.sync 0;\n";
          target = "%a";
        }
        text += (red && !skip_red ? "red.relaxed.gpu" : "atom") + space + "." + a.op +
                (red && !skip_red ? "" : " %d,") + " [" + target + "], %x" + (cas ? ", %c" : "") +
                ";\n";
        if (red && !skip_red) text += "mov.b" + bits + " %d, 0;\n";
        if (s == "shared")
          text += "bar.sync 0;\n@%q ld.shared.b" + bits + " %x, [%a];\n@%q st.global.b" + bits +
                  " [%i], %x;\n";
        text += "add.u64 %o, %o, %off;\nst.global.b" + bits + " [%o], %d;\nret;\n}\n";
      }
  if (const char* p = getenv("CUDASIM_DUMP"))
    std::ofstream(std::string(p) + "/atomics.ptx") << text;
  Device dev;
  Loaded m(dev);
  m.module = load_ptx(text, "generated");
  std::mt19937_64 r(8);
  const int threads = 32;
  uint64_t in = dev.alloc(2048), out = dev.alloc(1024);
  id = 0;
  for (const A& a : ops)
    for (size_t s = 0; s < spaces.size(); ++s)
      for (bool red : {false, true}) {
        std::string name = "k" + std::to_string(id++);
        bool no_red = a.kind == 'c' || a.op.substr(0, 4) == "exch";
        uint64_t mask = a.bytes == 8 ? ~0ull : (1ull << (8 * a.bytes)) - 1;
        auto value = [&]() -> uint64_t {
          switch (a.kind) {
            case 'c': return r() % 3;
            case 's': return r() % 9;
            case 'f': return fb(float(int64_t(r() % 20001) - 10000) * 0.37f);
            case 'g': return gb(double(int64_t(r())) * 1e-7);
            case 'h': return hb(_Float16(float(r() % 200) * 0.11f));
            case 'e': return bb(float(r() % 200) * 0.11f);
            case 'H':
              return hb(_Float16(float(r() % 200) * 0.11f)) | hb(_Float16(float(r() % 200) * 0.5f))
                                                                  << 16;
            case 'E': return bb(float(r() % 200) * 0.11f) | bb(float(r() % 200) * 0.5f) << 16;
            default: return r() & mask;
          }
        };
        uint64_t word = value(), *w = dev.ptr<uint64_t>(in);
        w[0] = word;
        std::vector<uint64_t> want(threads);
        for (int t = 0; t < threads; ++t) {
          w[2 + t] = value(), w[66 + t] = value();
          want[t] = red && !no_red ? 0 : word;
          word = a.f(word, w[2 + t], w[66 + t]) & mask;
        }
        memset(dev.host(out), 0, 1024);
        m.ok(name, {1}, {threads}, Args() << in << out);
        expect_equal(dev.download<uint64_t>(out, threads), want,
                     a.op + " " + spaces[s] + (red ? " red" : " atom"));
        check((*dev.ptr<uint64_t>(in) & mask) == word, a.op + " " + spaces[s] + ": final value");
      }
  printf("     %d atomic kernels\n", id);
}

// Vector reductions of sm_90 and 16-byte atomics.
TEST(wide_atomics) {
  std::string text = header();
  text += prologue("v4", ".reg .f32 %x<4>, %d<4>;\n.reg .b32 %h<3>;\n") +
          "mov.b32 %h0, 0x3c003c00;\nmov.b32 %h1, 0x40004000;\nmov.b32 %h2, 0x3c00;\n"
          "ld.global.v4.f32 {%x0, %x1, %x2, %x3}, [%i];\natom.global.add.v4.f32 {%d0, %d1, %d2, "
          "%d3}, [%o], {%x0, %x1, %x2, %x3};\n"
          "red.global.add.v2.f32 [%o+16], {%x2, %x3};\nred.global.add.noftz.v4.f16x2 [%o+32], "
          "{%h0, %h0, %h1, %h2};\nret;\n}\n";
  text += prologue("b128", ".reg .b128 %x, %c, %d;\n.reg .b64 %p<4>;\n") +
          "ld.global.v2.b64 {%p0, %p1}, [%i];\nmov.b128 %c, {%p0, %p1};\nadd.u64 %p2, %p0, "
          "5;\nmov.b128 %x, {%p2, %p1};\n"
          "atom.global.cas.b128 %d, [%o], %c, %x;\nmov.b128 {%p2, %p3}, %d;\nst.global.v2.b64 "
          "[%o+16], {%p2, %p3};\n"
          "atom.global.exch.b128 %d, [%o+32], %x;\nret;\n}\n";
  if (const char* p = getenv("CUDASIM_DUMP")) std::ofstream(std::string(p) + "/wide.ptx") << text;
  Device dev;
  Loaded m(dev);
  m.module = load_ptx(text, "generated");
  std::vector<float> in = {1, 2, 3, 4};
  uint64_t di = dev.upload(in), out = dev.upload(std::vector<float>(32));
  m.ok("v4", {1}, {32}, Args() << di << out);
  std::vector<float> want = {32, 64, 96, 128, 96, 128};
  expect_equal(dev.download<float>(out, 6), want, "v4.f32");
  std::vector<uint32_t> halves = {0x50005000, 0x50005000, 0x54005400, 0x00005000};
  expect_equal(dev.download<uint32_t>(out + 32, 4), halves, "v4.f16x2");
  std::vector<uint64_t> word = {7, 9, 0, 0, 1, 2};
  uint64_t dw = dev.upload(std::vector<uint64_t>{7, 9}), o = dev.upload(word);
  m.ok("b128", {1}, {1}, Args() << dw << o);
  expect_equal(dev.download<uint64_t>(o, 6), {12, 9, 7, 9, 12, 9}, "b128");
}

// A kernel with an instruction that is not implemented loads, runs its other paths, and names the
// instruction when it comes there.
TEST(unsupported_is_loud) {
  std::string text =
      header() + prologue("k", ".reg .b32 %d<4>;\n.reg .b32 %a<4>;\n.reg .pred %p;\n") +
      "setp.lt.u32 %p, %t, 40;\n@%p bra DONE;\nmma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
      "{%d0,%d1,%d2,%d3}, {%a0,%a1}, {%a2}, {%d0,%d1,%d2,%d3};\n"
      "DONE:\nst.global.u32 [%o], 5;\nret;\n}\n";
  Device dev;
  Loaded m(dev);
  m.module = load_ptx(text, "generated");
  uint64_t a = dev.alloc(64);
  m.ok("k", {1}, {40}, Args() << a << a);
  auto r = m.run("k", {1}, {64}, Args() << a << a);
  check(r.fault.cuda_error == 801 &&
            r.fault.message.find("mma.sync.aligned.m16n8k8") != std::string::npos &&
            r.fault.message.find("unsupported") != std::string::npos,
        r.fault.message);
  bool thrown = false;
  try {
    load_ptx(header() + ".visible .entry k() { bogus!!; }", "bad");
  } catch (const PtxError& e) {
    thrown = std::string(e.what()).find("bad:4") == 0;
  }
  check(thrown, "a syntax error must name its line");
}

// Two launches on two host threads update the same words.
TEST(atomics_from_two_devices) {
  Device dev;
  Loaded m(dev), n(dev);
  std::string text =
      header() + prologue("k", ".reg .b64 %p;\n.reg .f32 %x;\n.reg .b32 %c;\n.reg .pred %q;\n") +
      "mov.u32 %c, 0;\nLOOP:\nred.global.add.u32 [%o], 1;\natom.global.add.f32 %x, [%o+8], "
      "0f3f800000;\nadd.u32 %c, %c, 1;\nsetp.lt.u32 %q, %c, 400;\n@%q bra LOOP;\nret;\n}\n";
  m.module = load_ptx(text, "one");
  n.module = load_ptx(text, "two");
  uint64_t out = dev.upload(std::vector<uint64_t>(4));
  LaunchResult a, b;
  std::thread t([&] { a = m.run("k", {8}, {64}, Args() << out << out); });
  b = n.run("k", {8}, {64}, Args() << out << out);
  t.join();
  check(a.fault.message.empty() && b.fault.message.empty(), a.fault.message + b.fault.message);
  check(*dev.ptr<uint32_t>(out) == 2 * 8 * 64 * 400,
        "u32 sum " + std::to_string(*dev.ptr<uint32_t>(out)));
  check(*dev.ptr<float>(out + 8) == 2 * 8 * 64 * 400,
        "f32 sum " + std::to_string(*dev.ptr<float>(out + 8)));
}
