// SPDX-License-Identifier: Apache-2.0
#include "cpu/thread_pool.hpp"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace warpbag::cpu {

int available_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

thread_pool::thread_pool(int num_threads)
    : num_threads_(num_threads > 0 ? num_threads : available_threads()) {
  workers_.reserve(static_cast<std::size_t>(num_threads_ - 1));
  for (int thread = 1; thread < num_threads_; ++thread) {
    workers_.emplace_back(
        [this, thread](const std::stop_token& stop) { wait_for_loops(thread, stop); });
  }
}

// Workers are joined before the members that they use are gone.
thread_pool::~thread_pool() { workers_.clear(); }

void thread_pool::run(std::int64_t count, void* body, invoke_function invoke) {
  if (count <= 0) return;
  if (count == 1 || workers_.empty()) {
    for (std::int64_t index = 0; index < count; ++index) invoke(body, index, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    count_ = count;
    body_ = body;
    invoke_ = invoke;
    next_index_.store(0, std::memory_order_relaxed);
    workers_busy_ = static_cast<int>(workers_.size());
    failure_ = nullptr;
    loop_number_ += 1;
  }
  loop_started_.notify_all();
  work(0);
  std::exception_ptr failure;
  {
    std::unique_lock lock(mutex_);
    loop_ended_.wait(lock, [this] { return workers_busy_ == 0; });
    failure = std::exchange(failure_, nullptr);
  }
  if (failure) std::rethrow_exception(failure);
}

void thread_pool::work(int thread) noexcept {
  try {
    for (;;) {
      const std::int64_t index = next_index_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      invoke_(body_, index, thread);
    }
  } catch (...) {
    next_index_.store(count_, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

void thread_pool::wait_for_loops(int thread, const std::stop_token& stop) {
  std::uint64_t loops_seen = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (!loop_started_.wait(lock, stop, [&] { return loop_number_ != loops_seen; })) return;
      loops_seen = loop_number_;
    }
    work(thread);
    const std::lock_guard lock(mutex_);
    workers_busy_ -= 1;
    if (workers_busy_ == 0) loop_ended_.notify_one();
  }
}

}  // namespace warpbag::cpu
