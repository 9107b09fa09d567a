// SPDX-License-Identifier: Apache-2.0
// Prints the interpreter's speed. No check: numbers depend on the machine.
#include <chrono>

#include "driver.h"

static double measure(Loaded& m, const std::string& k, const Args& a, const Options& o) {
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    auto start = std::chrono::steady_clock::now();
    auto r = m.run(k, {64}, {256}, a, 0, false, {}, &o);
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!r.fault.message.empty()) {
      printf("%s\n", r.fault.message.c_str());
      exit(1);
    }
    best = std::max(best, double(r.counters.warp_instructions) / s / 1e6);
  }
  return best;
}

int main(int argc, char** argv) {
  g_dir = argc > 1 ? argv[1] : ".";
  Device dev;
  Loaded m(dev, "basic_90.ptx");
  uint32_t n = 64 * 256;
  std::vector<uint32_t> next(n), rnd(n);
  std::mt19937 r(1);
  for (uint32_t i = 0; i < n; ++i) next[i] = (i + 256) % n, rnd[i] = r() % n;
  uint64_t out = dev.alloc(n * 4), a = dev.upload(next), b = dev.upload(rnd);
  Options plain, profile;
  profile.profile = true;
  int k = 2000;
  printf("arithmetic loop        %7.1f M warp instructions/s\n",
         measure(m, "arithmetic_loop", Args() << out << k, plain));
  printf("gather, coalesced      %7.1f M warp instructions/s\n",
         measure(m, "gather_loop", Args() << a << out << k, plain));
  printf("gather, random         %7.1f M warp instructions/s\n",
         measure(m, "gather_loop", Args() << b << out << k, plain));
  printf("gather, random, profile%7.1f M warp instructions/s\n",
         measure(m, "gather_loop", Args() << b << out << k, profile));
  return 0;
}
