// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "bench/bench_device.hpp"
#include "cpu/thread_pool.hpp"

namespace warpbag::bench {

namespace {

constexpr std::size_t words_per_chunk = std::size_t{1} << 17;  // 1 MiB

/// Twice the last-level cache, and 64 MiB where the system does not tell its size.
std::size_t swept_words() {
  const long cache = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  const std::size_t bytes =
      std::max(2 * static_cast<std::size_t>(std::max(cache, 0L)), std::size_t{64} << 20);
  return bytes / sizeof(std::uint64_t) / words_per_chunk * words_per_chunk;
}

class cpu_bench_device final : public bench_device {
 public:
  explicit cpu_bench_device(int num_threads) : threads_(num_threads) {
    resources_.num_threads = num_threads;
  }

  const resources& get_resources() const override { return resources_; }

  run_time time(const std::function<void()>& body) override {
    const double cpu = process_cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    return {wall.count(), process_cpu_seconds() - cpu};
  }

  void flush_caches() override { move_memory(); }

 protected:
  double move_memory() override {
    if (swept_.empty()) swept_.assign(swept_words(), 1);
    std::vector<std::uint64_t> sums(swept_.size() / words_per_chunk);
    threads_.for_each(static_cast<std::int64_t>(sums.size()), [&](std::int64_t chunk, int) {
      const auto begin = swept_.begin() + chunk * static_cast<std::int64_t>(words_per_chunk);
      sums[static_cast<std::size_t>(chunk)] =
          std::accumulate(begin, begin + words_per_chunk, std::uint64_t{0});
    });
    read_ = std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
    return static_cast<double>(swept_.size() * sizeof(std::uint64_t));
  }

 private:
  resources resources_;
  cpu::thread_pool threads_;
  std::vector<std::uint64_t> swept_;
  volatile std::uint64_t read_ = 0;  // so that the reads are not left out
};

}  // namespace

std::unique_ptr<bench_device> make_cpu_bench_device(int num_threads) {
  return std::make_unique<cpu_bench_device>(num_threads);
}

}  // namespace warpbag::bench
