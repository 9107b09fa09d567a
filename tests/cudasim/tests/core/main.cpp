// SPDX-License-Identifier: Apache-2.0
// cudasim_core_tests PTX_DIR [filter]: runs every test, under the schedule that
// CUDASIM_SCHEDULE=random:SEED asks for.
#include <chrono>

#include "driver.h"

void dump_arith_ptx(const char* path);

int main(int argc, char** argv) {
  if (argc == 3 && !strcmp(argv[1], "--dump-ptx")) {
    dump_arith_ptx(argv[2]);
    return 0;
  }
  g_dir = argc > 1 ? argv[1] : ".";
  std::string filter = argc > 2 ? argv[2] : "";
  if (const char* s = getenv("CUDASIM_SCHEDULE"); s && !strncmp(s, "random", 6)) {
    g_options.schedule = Schedule::kRandom;
    if (s[6] == ':') g_options.seed = strtoull(s + 7, nullptr, 10);
  }
  int ran = 0;
  for (auto& t : tests()) {
    if (std::string(t.name).find(filter) == std::string::npos) continue;
    g_test = t.name;
    int before = g_failures;
    auto start = std::chrono::steady_clock::now();
    try {
      t.body();
    } catch (const std::exception& e) {
      fail(std::string("exception: ") + e.what());
    }
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("%-4s %-32s %.2f s\n", g_failures == before ? "ok" : "FAIL", t.name, s);
    fflush(stdout);
    ++ran;
  }
  printf("%d tests, %d checks, %d failures\n", ran, g_checks, g_failures);
  return g_failures || !ran;
}
