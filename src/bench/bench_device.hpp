// SPDX-License-Identifier: Apache-2.0
#pragma once
// The clock, the caches and the memory bandwidth of a device.

#include <time.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "warpbag/resources.hpp"

namespace warpbag::bench {

struct run_time {
  double wall = 0.0;  // seconds; CUDA: between two events on the stream
  double cpu = 0.0;   // of all threads of this process: what a busy machine changes least
};

class bench_device {
 public:
  bench_device() = default;
  bench_device(const bench_device&) = delete;
  bench_device& operator=(const bench_device&) = delete;
  virtual ~bench_device() = default;

  /// On CUDA with a stream that this object owns.
  virtual const resources& get_resources() const = 0;
  virtual run_time time(const std::function<void()>& body) = 0;
  /// Leaves nothing of what was used before in the caches (last-level cache; L2 on CUDA).
  virtual void flush_caches() = 0;
  /// Bytes a second that all of the device together move from or to memory, measured now: the best
  /// of some runs after one that warms up.
  double memory_bandwidth() {
    constexpr int runs = 5;
    const double bytes = move_memory();
    double seconds = std::numeric_limits<double>::infinity();
    for (int run = 0; run < runs; ++run) {
      seconds = std::min(seconds, time([this] { move_memory(); }).wall);
    }
    return bytes / std::max(seconds, 1e-9);
  }

 protected:
  /// Moves more than caches hold; returns how many bytes.
  virtual double move_memory() = 0;
};

/// Used by all threads of this process so far.
inline double process_cpu_seconds() {
  timespec now = {};
  static_cast<void>(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::unique_ptr<bench_device> make_cpu_bench_device(int num_threads);
/// Throws device_unavailable.
std::unique_ptr<bench_device> make_cuda_bench_device(int ordinal);

}  // namespace warpbag::bench
