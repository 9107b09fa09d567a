// SPDX-License-Identifier: Apache-2.0
// Process-wide state: devices, host threads, the frame around every API call.
#include "runtime.h"

#include <chrono>
#include <cstdarg>
#include <cstdio>

#include "faults.h"

namespace cudasim {
namespace {

void at_exit() {
  Runtime& r = runtime();
  {
    Lock lock = lock_at_exit();
    if (lock.owns_lock()) {
      r.stopping = true;
      // A helper may be inside a kernel: static objects must outlive it.
      r.changed.wait_for(lock, std::chrono::seconds(2), [&] { return r.running == 0; });
      if (settings().log && !r.pending.empty())
        log_line("exit  %zu stream operations were never waited for and did not run",
                 r.pending.size());
    }
  }
  write_profile();
}

}  // namespace

void log_line(const char* format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  std::fprintf(stderr, "[cudasim] %s\n", text);
}

Thread& self() {
  // Outlives the thread, whose default streams may hold work.
  static std::mutex mutex;
  static auto* all = new std::vector<std::unique_ptr<Thread>>;
  thread_local Thread* t = [] {
    std::lock_guard lock(mutex);
    return all->emplace_back(std::make_unique<Thread>()).get();
  }();
  return *t;
}

Runtime& runtime() {
  static Runtime* r = [] {
    auto* fresh = new Runtime;
    for (int i = 0; i < settings().devices; ++i) {
      auto d = std::make_unique<Device>();
      d->index = i;
      d->legacy.legacy = true;
      d->legacy.id = 1;
      d->legacy.device = i;
      d->default_pool.device = i;
      d->default_pool.is_default = true;
      d->limits[cudaLimitStackSize] = 1024;
      d->limits[cudaLimitPrintfFifoSize] = 1 << 20;
      d->limits[cudaLimitMallocHeapSize] = 8 << 20;
      d->limits[cudaLimitDevRuntimeSyncDepth] = 2;
      d->limits[cudaLimitDevRuntimePendingLaunchCount] = 2048;
      d->limits[cudaLimitMaxL2FetchGranularity] = 64;
      d->limits[cudaLimitPersistingL2CacheSize] = 0;
      fresh->devices.push_back(std::move(d));
    }
    fresh->forbid_default_stream = settings().forbid_default_stream;
    std::atexit(at_exit);
    return fresh;
  }();
  return *r;
}

Device& device(int index) { return *runtime().devices[static_cast<size_t>(index)]; }
Device& current_device() { return device(self().device); }

cudaError_t enter_call(const char* name) {
  if (name)
    if (cudaError_t error = faults::count_call(name); error != cudaSuccess) return error;
  if (self().in_callback) return cudaErrorNotPermitted;
  if (runtime().devices.empty()) return cudaErrorNoDevice;
  return cudaSuccess;
}

cudaError_t finish_call(const char* name, cudaError_t error) {
  if (error != cudaSuccess) self().last_error = error;
  if (name && settings().log) log_line("call  %s -> %s", name, cudaGetErrorName(error));
  return error;
}

}  // namespace cudasim
