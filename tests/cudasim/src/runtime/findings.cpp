// SPDX-License-Identifier: Apache-2.0
// What the simulator holds against the program: one line each, counted for CUDASIM_STRICT.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <thread>

#include "cudasim.h"
#include "runtime.h"

namespace cudasim {
namespace {

constexpr int kStrictStatus = 86;

std::atomic<unsigned long long> findings{0};

// A destructor of the library, not an exit handler: the program's own static
// objects, which may release what they hold, are destroyed before it.
__attribute__((destructor)) void judge() {
  if (settings().leaks) report_leaks();
  if (!settings().strict || findings == 0) return;
  std::fprintf(stderr, "[cudasim] CUDASIM_STRICT: %llu findings, exit status %d\n", findings.load(),
               kStrictStatus);
  std::fflush(nullptr);
  _exit(kStrictStatus);
}

}  // namespace

void complain(const char* format, ...) {
  ++findings;
  char* text = nullptr;
  va_list args;
  va_start(args, format);
  int length = vasprintf(&text, format, args);
  va_end(args);
  std::fprintf(stderr, "[cudasim] %s\n", length < 0 ? format : text);
  if (length >= 0) free(text);
}

Lock lock_at_exit() {
  Lock lock(runtime().mutex, std::defer_lock);
  for (int i = 0; i < 200 && !lock.try_lock(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return lock;
}

}  // namespace cudasim

extern "C" {

unsigned long long cudasim_finding_count(void) { return cudasim::findings; }
void cudasim_forgive_findings(unsigned long long count) {
  auto now = cudasim::findings.load();
  while (!cudasim::findings.compare_exchange_weak(now, now - std::min(now, count))) {
  }
}

void cudasim_plugin_complain(const char* line) { cudasim::complain("%s", line); }

}  // extern "C"
