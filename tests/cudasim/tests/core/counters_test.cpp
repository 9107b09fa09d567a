// SPDX-License-Identifier: Apache-2.0
// Counters against launches whose counts are known by construction.
#include "driver.h"

namespace {

Options profiling() {
  Options o = g_options;
  o.profile = true;
  return o;
}

std::string expected(const char* what, uint64_t got, uint64_t want) {
  return std::string(what) + " is " + std::to_string(got) + ", not " + std::to_string(want);
}
#define EXPECT_COUNT(counters, field, want) \
  check((counters).field == uint64_t(want), expected(#field, (counters).field, uint64_t(want)))

void load(Loaded& m, const std::string& body) {
  m.module = load_ptx(".version 8.8\n.target sm_100\n.address_size 64\n" + body, "counters");
}

uint64_t loops(uint64_t block, uint64_t warp) { return block * 7 % 5 * 700 + warp; }

}  // namespace

// Warp w of block b runs 9 instructions and loops(b, w) times 4: longer than a time slice, and
// the longest block is neither the first nor the last.
TEST(longest_block_and_warp) {
  Device dev;
  Loaded m(dev);
  load(m, R"(.visible .entry uneven() {
    .reg .b32 %r<5>; .reg .pred %p;
    mov.u32 %r1, %ctaid.x;
    mul.lo.u32 %r1, %r1, 7;
    rem.u32 %r1, %r1, 5;
    mov.u32 %r2, %tid.x;
    shr.u32 %r3, %r2, 5;
    mad.lo.u32 %r4, %r1, 700, %r3;
  again:
    setp.eq.u32 %p, %r4, 0;
    @%p bra done;
    sub.u32 %r4, %r4, 1;
    bra again;
  done:
    ret;
  })");
  const uint64_t blocks = 5, warps = 3;
  uint64_t all = 0, longest_block = 0, longest_warp = 0;
  for (uint64_t b = 0; b < blocks; ++b) {
    uint64_t block = 0;
    for (uint64_t w = 0; w < warps; ++w) {
      uint64_t n = 9 + 4 * loops(b, w);
      block += n;
      longest_warp = std::max(longest_warp, n);
    }
    all += block;
    longest_block = std::max(longest_block, block);
  }
  LaunchResult r = m.ok("uneven", {uint32_t(blocks)}, {uint32_t(warps * 32)}, Args());
  EXPECT_COUNT(r.counters, warp_instructions, all);
  EXPECT_COUNT(r.counters, max_block_warp_instructions, longest_block);
  EXPECT_COUNT(r.counters, max_warp_instructions_per_warp, longest_warp);
}

TEST(atomic_counters) {
  Device dev;
  Loaded m(dev);
  load(m, R"(.visible .entry atomics(.param .u64 out) {
    .reg .b64 %o, %s, %g; .reg .b32 %r, %t; .reg .b64 %d; .reg .b16 %h; .reg .pred %p;
    .shared .align 16 .b8 sh[64];
    ld.param.u64 %o, [out];
    mov.u32 %t, %tid.x;
    mov.u32 %r, 0; mov.u64 %d, 0; mov.b16 %h, 0;
    red.global.add.f32 [%o], %r;
    atom.global.add.f64 %d, [%o+8], %d;
    atom.global.add.noftz.f16 %h, [%o+16], %h;
    red.global.add.noftz.f16x2 [%o+20], %r;
    atom.global.add.noftz.bf16 %h, [%o+24], %h;
    red.global.add.noftz.bf16x2 [%o+28], %r;
    atom.shared.add.f32 %r, [sh], %r;
    atom.shared.add.f64 %d, [sh+8], %d;
    red.global.add.u32 [%o], %r;
    atom.global.exch.b32 %r, [%o], %r;
    red.shared.max.s32 [sh], %r;
    cvta.shared.u64 %s, sh;
    setp.lt.u32 %p, %t, 16;
    selp.b64 %g, %s, %o, %p;
    atom.add.f32 %r, [%g], %r;
    atom.add.u32 %r, [%g], %r;
    ret;
  })");
  Options o = profiling();
  uint64_t out = dev.alloc(64);
  const uint64_t warps = 4;
  LaunchResult r = m.run("atomics", {2}, {64}, Args() << out, 0, false, {}, &o);
  check(r.fault.message.empty(), r.fault.message);
  // A generic instruction is one request in each space that its lanes fall in: only the first
  // warp of a block has lanes in both.
  EXPECT_COUNT(r.counters, float_atomic_requests, warps * (6 + 2 + 1) + 2);
  EXPECT_COUNT(r.counters, shared_atomic_requests, warps * 3 + 2 * 2);
  EXPECT_COUNT(r.counters, global_atomic_requests, warps * (6 + 2 + 2));
}

TEST(uncoalesced_loads) {
  Device dev;
  Loaded m(dev, "basic_90.ptx");
  Options o = profiling();
  uint64_t a = dev.alloc(1 << 20), out = dev.alloc(1 << 16);
  auto strided = [&](uint64_t from, int stride) {
    return m.run("stride_read", {4}, {256}, Args() << from << out << stride, 0, false, {}, &o)
        .counters;
  };
  EXPECT_COUNT(strided(a, 1), uncoalesced_load_requests, 0);
  EXPECT_COUNT(strided(a, 0), uncoalesced_load_requests, 0);
  EXPECT_COUNT(strided(a, 2), uncoalesced_load_requests, 32);
  EXPECT_COUNT(strided(a + 4, 1), uncoalesced_load_requests, 32);  // five sectors, four would do
  // 20 lanes need 80 bytes: two and a half sectors, so three are the minimum.
  auto partial = [&](uint64_t x, uint64_t y) {
    return m.run("vadd", {1}, {32}, Args() << x << y << out << 20, 0, false, {}, &o).counters;
  };
  EXPECT_COUNT(partial(a, a), uncoalesced_load_requests, 0);
  EXPECT_COUNT(partial(a, a + 20), uncoalesced_load_requests, 1);
}

TEST(traffic_counters) {
  Device dev;
  Loaded m(dev, "basic_90.ptx");
  uint64_t a = dev.alloc(1 << 20), out = dev.alloc(1 << 16);
  Options o = profiling();
  for (int stride : {1, 2, 8, 16, 0}) {
    auto r = m.run("stride_read", {4}, {256}, Args() << a << out << stride, 0, false, {}, &o);
    const Counters& c = r.counters;
    uint64_t sectors = stride == 0 ? 1 : std::min(32, 4 * stride);
    check(c.global_load_requests == 32 && c.global_load_sectors == 32 * sectors &&
              c.global_load_bytes == 4096,
          "loads, stride " + std::to_string(stride) + ": " + std::to_string(c.global_load_sectors));
    check(c.global_store_requests == 32 && c.global_store_sectors == 128 &&
              c.global_store_bytes == 4096,
          "stores");
    check(c.footprint_read_bytes == (stride == 0 ? 32 : 32 * 32 * sectors),
          "footprint " + std::to_string(c.footprint_read_bytes));
    check(c.footprint_write_bytes == 4096, "write footprint");
    check(c.dram_read_sectors == (stride == 0 ? 1 : 32 * sectors) && c.dram_write_sectors == 128,
          "dram");
    check(c.l2_hit_sectors == (stride == 0 ? 31u : 0u),
          "l2 hits " + std::to_string(c.l2_hit_sectors));
    check(c.l1_hit_sectors == (stride == 0 ? 28u : 0u),  // four blocks on as many multiprocessors
          "l1 hits " + std::to_string(c.l1_hit_sectors));
  }
  for (int stride : {1, 2, 32}) {
    auto r = m.run("bank_conflict", {1}, {32}, Args() << out << stride, 0, false, {}, &o);
    check(r.counters.shared_load_requests == 1 && r.counters.shared_store_requests == 1 &&
              r.counters.shared_wavefronts == 2u * unsigned(stride),
          "wavefronts, stride " + std::to_string(stride) + ": " +
              std::to_string(r.counters.shared_wavefronts));
  }
  auto r = m.ok("vadd", {1}, {32}, Args() << a << a << out << 20);
  check(r.counters.branches == 1 && r.counters.divergent_branches == 1, "branches");
}

// A load that says L1::no_allocate finds what others have brought, and brings nothing.
TEST(loads_past_l1) {
  Device dev;
  Loaded m(dev);
  load(m, R"(.visible .entry past(.param .u64 from) {
    .reg .b64 %a; .reg .b32 %r;
    ld.param.u64 %a, [from];
    ld.global.L1::no_allocate.u32 %r, [%a];
    ld.global.nc.L1::no_allocate.u32 %r, [%a];
    ld.global.u32 %r, [%a];
    ld.global.nc.L1::no_allocate.u32 %r, [%a];
    ld.global.L1::evict_last.u32 %r, [%a+1024];
    ld.global.u32 %r, [%a+1024];
    ret;
  })");
  Options o = profiling();
  uint64_t a = dev.alloc(4096);
  LaunchResult r = m.run("past", {1}, {32}, Args() << a, 0, false, {}, &o);
  check(r.fault.message.empty(), r.fault.message);
  EXPECT_COUNT(r.counters, l1_hit_sectors, 2);
  EXPECT_COUNT(r.counters, l1_hit_sectors_unhinted, 4);
}
