// SPDX-License-Identifier: Apache-2.0
// Over 400 lines: one test for each kernel of basic.cu.
#include <unistd.h>

#include "driver.h"

static std::vector<std::string> archs() { return {"75", "80", "90", "100"}; }
static std::vector<uint32_t> random_words(size_t n, uint64_t seed) {
  std::mt19937_64 r(seed);
  std::vector<uint32_t> v(n);
  for (auto& x : v) x = uint32_t(r());
  return v;
}
#define EACH_ARCH                            \
  for (const std::string& arch : archs()) {  \
    Device dev;                              \
    Loaded m(dev, "basic_" + arch + ".ptx"); \
    std::string at = "sm_" + arch;
#define END_ARCH }

TEST(vector_add) {
  EACH_ARCH
  int n = 1000;
  std::vector<float> a(n), b(n), want(n);
  for (int i = 0; i < n; ++i) a[i] = i * 0.37f, b[i] = 1e6f / (i + 1), want[i] = a[i] + b[i];
  uint64_t da = dev.upload(a), db = dev.upload(b), dc = dev.alloc(4 * n);
  auto r = m.ok("vadd", {4}, {256}, Args() << da << db << dc << n);
  expect_equal(dev.download<float>(dc, n), want, at);
  check(r.counters.blocks == 4 && r.counters.threads == 1024 && r.counters.warp_instructions > 32,
        "counters");
  END_ARCH
}
static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
TEST(calls_and_globals) {
  EACH_ARCH
  int n = 200;
  std::vector<float> a(256), want;
  for (int i = 0; i < 256; ++i) a[i] = i < n ? i * 1.5f : 0;
  want = a;
  std::vector<int> f(n);
  int table[4] = {1, 2, 3, 4};
  for (int i = 0; i < n; ++i) {
    float x = a[i ^ 1];
    want[i] = (i > 3 ? x * i : x - i) * table[i & 3];
    f[i] = fib(i % 11) + 5;
  }
  uint64_t da = dev.upload(a), df = dev.alloc(4 * n);
  m.ok("calls", {2}, {128}, Args() << da << df << n, 512);
  want.resize(n);
  expect_equal(dev.download<float>(da, n), want, at);
  expect_equal(dev.download<int>(df, n), f, at + " recursion");
  END_ARCH
}
TEST(virtual_functions) {
  EACH_ARCH
  uint64_t d = dev.alloc(64 * 4);
  m.ok("virtuals", {1}, {64}, Args() << d);
  std::vector<int> want(64);
  for (int i = 0; i < 64; ++i) want[i] = (i * 7 >> 1) & 1 ? i + 100 : i * i;
  expect_equal(dev.download<int>(d, 64), want, at);
  END_ARCH
}
TEST(switch_tables) {
  EACH_ARCH
  std::vector<int> a(96), want(96);
  int s = 123457;
  for (int i = 0; i < 96; ++i) {
    a[i] = (i * 5) % 11;
    unsigned rev = 0;
    for (int k = 0; k < 32; ++k) rev |= unsigned(s >> k & 1) << (31 - k);
    int v[10] = {s,        s * 3,  s + 9, s / 7, s % 7, int(rev), __builtin_popcount(s),
                 s ^ 0x55, s << 3, -1};
    want[i] = a[i] < 9 ? v[a[i]] : -1;
  }
  uint64_t d = dev.upload(a);
  m.ok("switches", {1}, {96}, Args() << d << s);
  expect_equal(dev.download<int>(d, 96), want, at);
  END_ARCH
}
static unsigned torture(unsigned x) {
  unsigned acc = 0;
  for (unsigned a = 0; a < (x & 15); ++a) {
    if ((x >> a) & 1) continue;
    for (unsigned b = a; b < 20; ++b) {
      acc = acc * 31 + a * b + x;
      if ((acc & 63) == 17) break;
      if ((acc & 1023) == 5) return acc;
      if ((acc & 3) == 0)
        acc += 7;
      else if ((acc & 3) == 1) {
        acc ^= 0x1234;
        continue;
      } else if ((acc & 3) == 2)
        while (acc & 8) acc = acc * 5 + 1, b++;
    }
    if (acc > 0xF0000000u) break;
  }
  return acc + (x & 1);
}
TEST(divergence_torture) {
  EACH_ARCH
  int n = 5000;
  auto in = random_words(n, 3);
  std::vector<uint32_t> want(n);
  for (int i = 0; i < n; ++i) want[i] = torture(in[i]);
  uint64_t a = dev.upload(in), b = dev.alloc(4 * n);
  auto r = m.ok("torture", {40}, {128}, Args() << a << b << n);
  expect_equal(dev.download<uint32_t>(b, n), want, at);
  check(r.counters.divergent_branches > 100, "no divergence seen");
  END_ARCH
}
TEST(divergent_sync) {
  for (std::string arch : {"80", "90", "100"}) {
    Device dev;
    Loaded m(dev, "basic_" + arch + ".ptx");
    uint64_t d = dev.alloc(256);
    m.ok("divergent_sync", {1}, {64}, Args() << d);
    std::vector<int> want(64);
    for (int base = 0; base < 64; base += 32) {
      int r[32];
      bool any = false, all = true;
      for (int l = 0; l < 32; ++l) {
        if (l & 1)
          r[l] = (l ^ 2) * (l ^ 2) + 256;
        else
          r[l] = (l ^ 4) * (l ^ 4) + 30 + (l % 4 == 0 ? 64 : 0);
        any |= r[l] == 3, all &= r[l] >= 0;
      }
      for (int l = 0; l < 32; ++l) {
        unsigned match = 0;
        for (int k = 0; k < 32; ++k) match |= unsigned(k / 5 == l / 5) << k;
        want[base + l] = r[l] + any + 2 * all + int(match & 0xFF);
      }
    }
    expect_equal(dev.download<int>(d, 64), want, arch);
  }
}
TEST(split_syncwarp) {
  EACH_ARCH
  uint64_t d = dev.alloc(128);
  m.ok("split_syncwarp", {1}, {32}, Args() << d);
  std::vector<int> want(32);
  for (int i = 0; i < 32; ++i) want[i] = i < 16 ? (i + 16) * 2 : i - 16;
  expect_equal(dev.download<int>(d, 32), want, at);
  END_ARCH
}
TEST(locks) {
  EACH_ARCH
  for (std::string k : {"lock_inside_warp", "naive_lock"}) {
    uint64_t d = dev.upload(std::vector<int>{0}), c = dev.upload(std::vector<int>{0});
    m.ok(k, {3}, {96}, Args() << d << c);
    expect_equal(dev.download<int>(c, 1), {288}, at + k);
  }
  END_ARCH
}
TEST(reductions_and_scans) {
  EACH_ARCH
  int n = 10000;
  auto w = random_words(n, 5);
  std::vector<int> in(w.begin(), w.end());
  int sum = 0;
  for (int x : in) sum = int(unsigned(sum) + unsigned(x));
  uint64_t a = dev.upload(in), o = dev.upload(std::vector<int>{0});
  m.ok("block_reduce", {40}, {256}, Args() << a << o << n);
  expect_equal(dev.download<int>(o, 1), {sum}, at);
  uint64_t s = dev.alloc(4096 * 4);
  m.ok("block_scan", {4}, {1024}, Args() << a << s);
  std::vector<int> want(4096);
  for (int i = 0; i < 4096; ++i)
    want[i] = int(unsigned(in[i]) + (i % 1024 ? unsigned(want[i - 1]) : 0));
  expect_equal(dev.download<int>(s, 4096), want, at);
  END_ARCH
}
TEST(barrier_forms) {
  EACH_ARCH
  uint64_t d = dev.alloc(4 * 128);
  m.ok("barriers", {1}, {128}, Args() << d);
  std::vector<int> want(128);
  for (int i = 0; i < 128; ++i) want[i] = 43 * 10 + 3 + (i < 64 ? 1000 : 0);
  expect_equal(dev.download<int>(d, 128), want, at);
  m.ok("producer_consumer", {1}, {128}, Args() << d);
  std::vector<int> want2(64);
  for (int i = 0; i < 64; ++i) want2[i] = (63 - i) * 3;
  expect_equal(dev.download<int>(d, 64), want2, at);
  END_ARCH
}
TEST(printf_format) {
  Device dev;
  Loaded m(dev, "basic_90.ptx");
  fflush(stdout);
  std::string path = "/tmp/cudasim_printf." + std::to_string(getpid());
  int saved = dup(1);
  FILE* f = fopen(path.c_str(), "w");
  dup2(fileno(f), 1);
  m.ok("prints", {1}, {32}, Args() << 42 << uint64_t(0));
  fflush(stdout);
  dup2(saved, 1);
  close(saved);
  fclose(f);
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  remove(path.c_str());
  check(line == "42  3.14|ab    |z 123456789abc % end", "printf gave '" + line + "'");
}
static void expect_fault(Loaded& m, const std::string& k, Dim3 grid, Dim3 block, const Args& a,
                         int error, std::vector<std::string> words) {
  Options o = g_options;
  o.max_warp_instructions = 2'000'000;
  auto r = m.run(k, grid, block, a, 0, false, {}, &o);
  check(r.fault.cuda_error == error,
        k + ": error " + std::to_string(r.fault.cuda_error) + " " + r.fault.message);
  for (auto& w : words)
    check(r.fault.message.find(w) != std::string::npos,
          k + ": no '" + w + "' in: " + r.fault.message);
}
TEST(faults) {
  EACH_ARCH
  uint64_t d = dev.upload(std::vector<int>(64));
  expect_fault(m, "asserts", {2}, {64}, Args() << 40, 710,
               {"basic.cu:", "threadIdx.x", "thread (40,0,0)"});
  expect_fault(m, "traps", {1}, {64}, Args() << 3, 719, {"trap", "thread (3,0,0)"});
  expect_fault(
      m, "out_of_bounds", {1}, {32}, Args() << d << 40, 700,
      {"out_of_bounds", "thread (24,0,0)", "st.global", "basic.cu:", "nearest allocation"});
  expect_fault(m, "out_of_bounds", {1}, {32}, Args() << uint64_t(0) << 40, 700, {});
  expect_fault(m, "misaligned", {1}, {1}, Args() << d, 716, {"misaligned"});
  expect_fault(m, "shared_oob", {1}, {32}, Args() << d << 32, 700, {"shared access"});
  expect_fault(m, "deadlocks", {1}, {64}, Args(), 702, {"deadlock", "barrier 0", "barrier 1"});
  expect_fault(m, "spins", {1}, {32}, Args() << d, 702, {"hung", "spins"});
  expect_fault(m, "store_one", {1}, {1}, Args() << m.variables["table"], 700, {"read-only"});
  dev.release(d);
  expect_fault(m, "out_of_bounds", {1}, {32}, Args() << d << 0, 700, {});
  END_ARCH
}
TEST(vector_alignment) {
  EACH_ARCH
  uint64_t d = dev.alloc(64);
  m.ok("misaligned_vector", {1}, {1}, Args() << d << 16);
  expect_equal(dev.download<float>(d + 16, 4), std::vector<float>{1, 2, 3, 4}, at);
  for (int offset : {4, 8}) {
    auto r = m.run("misaligned_vector", {1}, {1}, Args() << d << offset);
    check(r.fault.cuda_error == 716, at + ": offset " + std::to_string(offset) + " was accepted");
  }
  END_ARCH
}
// What a lane that takes no part would give is undefined: it must not look right.
TEST(shuffle_of_absent_lanes) {
  EACH_ARCH
  uint64_t d = dev.alloc(256);
  std::vector<uint32_t> absent(32), foreign(64);
  for (uint32_t i = 0; i < 32; ++i) {
    absent[i] = i % 2 ? i : 0xFFFFFFFF;
    foreign[i] = 0xFFFFFFFF;
    foreign[i + 32] = i ^ 1;
  }
  m.ok("shuffle_absent", {1}, {32}, Args() << d);
  expect_equal(dev.download<uint32_t>(d, 32), absent, at);
  m.ok("shuffle_foreign", {1}, {32}, Args() << d);
  expect_equal(dev.download<uint32_t>(d, 64), foreign, at);
  END_ARCH
}
TEST(checkers) {
  Device dev;
  dev.track_init = true;
  Loaded m(dev, "basic_90.ptx");
  uint64_t a = dev.alloc(256), b = dev.alloc(256);
  Options o = g_options;
  o.initcheck = true;
  auto r = m.run("copy_int", {1}, {64}, Args() << a << b << 64, 0, false, {}, &o);
  check(!r.findings.empty() && r.findings[0].find("initcheck") == 0, "initcheck found nothing");
  uint64_t c = dev.upload(std::vector<int>(64));
  r = m.run("copy_int", {1}, {64}, Args() << c << b << 64, 0, false, {}, &o);
  check(r.findings.empty(),
        "initcheck false positive: " + (r.findings.empty() ? "" : r.findings[0]));
  r = m.run("copy_int", {1}, {64}, Args() << b << c << 64, 0, false, {}, &o);
  check(r.findings.empty(),
        "stores do not mark bytes: " + (r.findings.empty() ? "" : r.findings[0]));

  Options q = g_options;
  q.racecheck = true;
  r = m.run("racy_shared", {1}, {64}, Args() << c, 0, false, {}, &q);
  check(!r.findings.empty() && r.findings[0].find("shared byte") != std::string::npos,
        "shared race missed");
  r = m.run("racy_global", {4}, {1}, Args() << c, 0, false, {}, &q);
  check(!r.findings.empty() && r.findings[0].find("global") != std::string::npos,
        "global race missed");
  r = m.run("warp_rows", {1}, {64}, Args() << c << 0, 0, false, {}, &q);
  check(!r.findings.empty() && r.findings[0].find("of the block") != std::string::npos,
        "global race between warps missed");
  uint64_t flag = dev.upload(std::vector<int>{0});
  r = m.run("warp_message", {1}, {64}, Args() << c << flag << b << 2, 0, false, {}, &q);
  check(!r.findings.empty() && r.findings[0].find("of the block") != std::string::npos,
        "unordered message between warps missed");
  std::vector<int> in(1024, 3);
  uint64_t d = dev.upload(in), part = dev.alloc(64), ticket = dev.upload(std::vector<int>{0}),
           out = dev.alloc(4);
  auto clean = [&](const char* what, const LaunchResult& got) {
    check(got.fault.message.empty() && got.findings.empty(),
          std::string(what) + " not clean: " + got.fault.message +
              (got.findings.empty() ? "" : got.findings[0]));
  };
  clean("last_block",
        m.run("last_block", {4}, {256}, Args() << d << part << ticket << out, 0, false, {}, &q));
  check(dev.download<int>(out, 1)[0] == 3072, "last_block sum");
  clean("warp_rows", m.run("warp_rows", {1}, {64}, Args() << c << 32, 0, false, {}, &q));
  clean("warp_message behind a barrier",
        m.run("warp_message", {1}, {64}, Args() << c << flag << b << 0, 0, false, {}, &q));
  clean("warp_message behind a flag",
        m.run("warp_message", {1}, {64}, Args() << c << flag << b << 1, 0, false, {}, &q));
  uint64_t scan = dev.alloc(4096);
  clean("block_scan", m.run("block_scan", {1}, {1024}, Args() << d << scan, 0, false, {}, &q));
  clean("block_reduce",
        m.run("block_reduce", {4}, {256}, Args() << d << out << 1024, 0, false, {}, &q));
  clean("split_syncwarp", m.run("split_syncwarp", {1}, {32}, Args() << scan, 0, false, {}, &q));
  clean("producer_consumer",
        m.run("producer_consumer", {1}, {128}, Args() << scan, 0, false, {}, &q));
  clean("shared_atomics",
        m.run("shared_atomics", {1}, {256}, Args() << scan << out, 0, false, {}, &q));
  clean("grid_sync", m.run("grid_sync", {4}, {64}, Args() << d << 256, 0, true, {}, &q));
}
TEST(grid_sync) {
  EACH_ARCH
  int n = 1024;
  std::vector<int> a(n), want(n);
  for (int i = 0; i < n; ++i) a[i] = i * i;
  for (int i = 0; i < n; ++i) want[i] = a[(i + 5) % n] + 5;
  uint64_t d = dev.upload(a);
  m.ok("grid_sync", {16}, {64}, Args() << d << n, 0, true);
  expect_equal(dev.download<int>(d, n), want, at);
  END_ARCH
}
TEST(tiles) {
  EACH_ARCH
  std::vector<int> a(64), want(64);
  for (int i = 0; i < 64; ++i) a[i] = (i * 37) % 23;
  for (int i = 0; i < 64; ++i) {
    int sum = 0, big = -1, odd = 0, b = i & ~7;
    for (int k = 0; k < 8; ++k) sum += a[b + k], big = std::max(big, a[b + k]);
    for (int k = 0; k < 32; ++k) odd += a[(i & ~31) + k] & 1;
    want[i] = sum + big * 7 + a[b + 3] + 32 + (a[i] & 1 ? odd * 101000 : 0);
  }
  uint64_t d = dev.upload(a);
  m.ok("tiles", {1}, {64}, Args() << d);
  expect_equal(dev.download<int>(d, 64), want, at);
  END_ARCH
}
TEST(shared_atomics) {
  EACH_ARCH
  uint64_t d = dev.alloc(64), f = dev.alloc(4);
  m.ok("shared_atomics", {1}, {256}, Args() << d << f);
  std::vector<int> want(16, 255);
  for (int i = 0; i < 256; ++i) want[i * 7 % 16] += i;
  expect_equal(dev.download<int>(d, 16), want, at);
  expect_equal(dev.download<float>(f, 1), {128.0f}, at);
  END_ARCH
}
TEST(local_and_param_memory) {
  EACH_ARCH
  uint64_t d = dev.alloc(4 * 64);
  int n = 100;
  m.ok("local_arrays", {1}, {64}, Args() << d << n);
  std::vector<int> want(64);
  for (int t = 0; t < 64; ++t) {
    int a[40], s = 0;
    for (int i = 0; i < 40; ++i) a[i] = i * t;
    for (int i = 0; i < n; ++i) {
      int k = (i * 13 + t) % 40;
      a[k] = a[39 - k] + i;
    }
    for (int i = 0; i < 40; ++i) s = int(unsigned(s) * 3 + unsigned(a[i]));
    want[t] = s;
  }
  expect_equal(dev.download<int>(d, 64), want, at);
  struct Big {
    int v[24];
  } b;
  for (int i = 0; i < 24; ++i) b.v[i] = i * i + 1;
  m.ok("big_param", {1}, {64}, Args() << b << d);
  for (int t = 0; t < 64; ++t) want[t] = b.v[t % 24] + b.v[t * 5 % 24];
  expect_equal(dev.download<int>(d, 64), want, at);
  END_ARCH
}
TEST(async_copies) {
  for (std::string arch : {"80", "90", "100"}) {
    Device dev;
    Loaded m(dev, "hopper_" + arch + ".ptx");
    std::vector<int> in(1024), want(128);
    for (int i = 0; i < 1024; ++i) in[i] = i * 7 + 1;
    uint64_t a = dev.upload(in), o = dev.alloc(4096);
    m.ok("pipeline", {1}, {128}, Args() << a << o);
    for (int t = 0; t < 128; ++t)
      for (int k = 0; k < 4; ++k) want[t] += in[k * 128 + 127 - t] * (k + 1);
    expect_equal(dev.download<int>(o, 128), want, arch + " pipeline");
    m.ok("missing_wait", {1}, {128}, Args() << a << o);
    expect_equal(dev.download<int>(o, 128), std::vector<int>(128, -1),
                 arch + " a missing wait must show");
    m.ok("block_barrier", {1}, {256}, Args() << a << o);
    std::vector<int> rev(256);
    for (int t = 0; t < 256; ++t) rev[t] = in[255 - t];
    expect_equal(dev.download<int>(o, 256), rev, arch + " cuda::barrier");
    if (arch == "80") continue;
    m.ok("bulk", {1}, {256}, Args() << a << o);
    for (int t = 0; t < 256; ++t) rev[t] = in[t] * 2 + 1;
    expect_equal(dev.download<int>(o, 256), rev, arch + " bulk");
    m.ok("cluster_ring", {8}, {64}, Args() << o, 0, false, {4});
    std::vector<int> ring(512);
    for (int b = 0; b < 8; ++b)
      for (int t = 0; t < 64; ++t) ring[b * 64 + t] = ((b & ~3) + ((b + 1) & 3)) * 1000 + 63 - t;
    expect_equal(dev.download<int>(o, 512), ring, arch + " cluster");
    m.ok("elect_one", {1}, {64}, Args() << o);
    std::vector<int> one(64);
    one[0] = one[32] = 1;
    expect_equal(dev.download<int>(o, 64), one, arch + " elect");
  }
}
