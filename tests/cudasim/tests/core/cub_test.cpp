// SPDX-License-Identifier: Apache-2.0
// CUB's primitives and device kernels, as far as they can be launched by hand.
#include <algorithm>

#include "driver.h"

static std::vector<int> random_ints(size_t n, uint64_t seed, int range) {
  std::mt19937_64 r(seed);
  std::vector<int> v(n);
  for (auto& x : v) x = int(r() % uint64_t(range)) - range / 2;
  return v;
}

TEST(cub_block_and_warp) {
  for (std::string arch : {"75", "80", "90", "100"}) {
    Device dev;
    Loaded m(dev, "cub_" + arch + ".ptx");
    std::mt19937 r(7);
    std::vector<uint32_t> keys(2048), values(2048), want_keys, want_values(2048);
    for (auto& k : keys) k = r() % 5000 * 77777u;
    want_keys = keys;
    for (int b = 0; b < 4; ++b) {
      std::vector<uint32_t> order(512);
      for (uint32_t i = 0; i < 512; ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) {
        return keys[b * 512 + x] < keys[b * 512 + y];
      });
      for (uint32_t i = 0; i < 512; ++i)
        want_keys[b * 512 + i] = keys[b * 512 + order[i]], want_values[b * 512 + i] = order[i];
    }
    uint64_t dk = dev.upload(keys), dv = dev.upload(values);
    m.ok("block_sort", {4}, {128}, Args() << dk << dv);
    expect_equal(dev.download<uint32_t>(dk, 2048), want_keys, arch + " radix keys");
    expect_equal(dev.download<uint32_t>(dv, 2048), want_values, arch + " radix values");

    auto in = random_ints(4096, 3, 1000);
    auto sorted = std::vector<int>(in.begin(), in.begin() + 512);
    uint64_t ds = dev.upload(sorted);
    m.ok("block_merge_sort", {1}, {128}, Args() << ds);
    std::sort(sorted.begin(), sorted.end());
    expect_equal(dev.download<int>(ds, 512), sorted, arch + " merge sort");

    uint64_t di = dev.upload(in), out = dev.alloc(4096 * 4), sum = dev.alloc(64);
    m.ok("block_scan_reduce", {4}, {256}, Args() << di << out << sum);
    std::vector<int> scan(4096);
    std::vector<double> sums(4);
    for (int i = 0; i < 4096; ++i)
      scan[i] = in[i] + (i % 1024 ? scan[i - 1] : 0), sums[i / 1024] += in[i];
    expect_equal(dev.download<int>(out, 4096), scan, arch + " scan");
    expect_equal(dev.download<double>(sum, 4), sums, arch + " reduce");

    m.ok("warp_primitives", {1}, {128}, Args() << di << out);
    auto got = dev.download<int>(out, 512);
    std::vector<int> want(512);
    for (int i = 0; i < 128; ++i) want[i] = i % 16 ? want[i - 1] + in[i - 1] : 0;
    for (int w = 0; w < 4; ++w)
      want[128 + w] = *std::max_element(in.begin() + w * 32, in.begin() + w * 32 + 32);
    for (int i = 132; i < 256; ++i) want[i] = got[i];
    for (int w = 0; w < 4; ++w) {
      for (int i = 0; i < 32; ++i)
        want[256 + w * 64 + i * 2] = in[w * 32 + i],
                                want[257 + w * 64 + i * 2] = in[w * 32 + i] ^ 0x55;
      std::sort(want.begin() + 256 + w * 64, want.begin() + 320 + w * 64);
    }
    expect_equal(got, want, arch + " warp");

    std::vector<uint8_t> bytes(1024);
    for (auto& b : bytes) b = uint8_t(r() % 37 * 3);
    std::vector<uint32_t> h(256);
    for (auto b : bytes) h[b]++;
    uint64_t db = dev.upload(bytes), dh = dev.alloc(1024);
    m.ok("block_histogram", {1}, {128}, Args() << db << dh);
    expect_equal(dev.download<uint32_t>(dh, 256), h, arch + " histogram");

    std::vector<int> t(in.begin(), in.begin() + 100);
    uint64_t dt = dev.upload(t);
    m.ok("serial_thrust", {1}, {32}, Args() << dt << 100 << out);
    int total = 0;
    for (int x : t) total += x;
    std::sort(t.begin(), t.end());
    expect_equal(dev.download<int>(dt, 100), t, arch + " thrust::sort");
    expect_equal(dev.download<int>(out, 1), {total}, arch + " thrust::reduce");
  }
}

TEST(cub_decoupled_lookback) {
  for (std::string arch : {"75", "80", "90", "100"}) {
    Device dev;
    Loaded m(dev, "cub_" + arch + ".ptx");
    int n = 100000, tiles = (n + 511) / 512;
    auto in = random_ints(size_t(n), 11, 100);
    uint64_t di = dev.upload(in), out = dev.alloc(size_t(n) * 4),
             state = dev.alloc(size_t(tiles + 64) * 16);
    m.ok("init_tiles", {uint32_t(tiles + 127) / 128}, {128}, Args() << state << tiles);
    auto r = m.ok("lookback_scan", {uint32_t(tiles)}, {128}, Args() << di << out << state << n);
    std::vector<int> want(in);
    for (int i = 1; i < n; ++i) want[i] += want[i - 1];
    expect_equal(dev.download<int>(out, size_t(n)), want, arch);
  }
}

// Every kernel of the instantiated device algorithms decodes with nothing unsupported:
// a single-block run of each would need the dispatch layer, which the runtime's tests have.
TEST(cub_device_reduce_kernel) {
  for (std::string arch : {"75", "90", "100"}) {
    Device dev;
    Loaded m(dev, "cub_" + arch + ".ptx");
    int n = 3000;
    auto in = random_ints(size_t(n), 5, 1000);
    int want = 0;
    for (int x : in) want += x;
    uint64_t di = dev.upload(in), out = dev.alloc(4);
    // DeviceReduceSingleTileKernel<..., int*, int*, int, plus, int, int>(in, out, n, op, init,
    // transform)
    std::string name;
    for (auto& k : m.module->kernels())
      if (k.name.find("DeviceReduceSingleTileKernel") != std::string::npos &&
          k.name.find("PiS") != std::string::npos && k.params.size() == 6 && k.params[2].size == 4)
        name = k.name;
    if (!check(!name.empty(), "no single-tile reduce kernel")) continue;
    const KernelInfo& k = info(*m.module->kernel(name));
    Args a;
    a.bytes.resize(k.param_bytes);
    memcpy(&a.bytes[k.params[0].offset], &di, 8);
    memcpy(&a.bytes[k.params[1].offset], &out, 8);
    memcpy(&a.bytes[k.params[2].offset], &n, 4);
    m.ok(name, {1}, {k.max_threads}, a);
    expect_equal(dev.download<int>(out, 1), {want}, arch);
  }
}
