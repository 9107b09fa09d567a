// SPDX-License-Identifier: Apache-2.0
#include "cpu/thread_pool.hpp"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "cpu/tuning.hpp"
#include "hwy/cache_control.h"

namespace warpbag::cpu {

int available_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

thread_pool::thread_pool(int num_threads)
    : num_threads_(num_threads > 0 ? num_threads : available_threads()),
      // With more threads than processors, who spins keeps another from working.
      spins_(num_threads_ > available_threads() ? 0 : tuning::spins_before_sleep) {
  workers_.reserve(static_cast<std::size_t>(num_threads_ - 1));
  for (int thread = 1; thread < num_threads_; ++thread) {
    workers_.emplace_back([this, thread] { serve(thread); });
  }
}

thread_pool::~thread_pool() {
  stopping_.store(true, std::memory_order_relaxed);
  loop_number_.fetch_add(1, std::memory_order_release);
  loop_number_.notify_all();
  workers_.clear();  // joined before the members that they use are gone
}

void thread_pool::run(std::int64_t count, void* body, invoke_function invoke) {
  if (count <= 0) return;
  if (count == 1 || workers_.empty()) {
    for (std::int64_t index = 0; index < count; ++index) invoke(body, index, 0);
    return;
  }
  count_ = count;
  body_ = body;
  invoke_ = invoke;
  next_index_.store(0, std::memory_order_relaxed);
  loop_state_.store(open, std::memory_order_release);
  loop_number_.fetch_add(1, std::memory_order_release);
  loop_number_.notify_all();
  work(0);
  std::uint32_t joined = loop_state_.fetch_and(~open, std::memory_order_acq_rel) & ~open;
  while (joined != 0) joined = wait_while(loop_state_, joined);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
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
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

void thread_pool::serve(int thread) {
  for (std::uint32_t loops_seen = 0;;) {
    loops_seen = wait_while(loop_number_, loops_seen);
    if (stopping_.load(std::memory_order_relaxed)) return;
    std::uint32_t state = loop_state_.load(std::memory_order_relaxed);
    while ((state & open) != 0) {
      if (!loop_state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
      work(thread);
      if (loop_state_.fetch_sub(1, std::memory_order_acq_rel) == 1) loop_state_.notify_one();
      break;
    }
  }
}

/// Returns what `word` holds once that is not `value`.
std::uint32_t thread_pool::wait_while(const std::atomic<std::uint32_t>& word,
                                      std::uint32_t value) const {
  for (int spin = 0; spin < spins_; ++spin) {
    const std::uint32_t now = word.load(std::memory_order_acquire);
    if (now != value) return now;
    hwy::Pause();
  }
  word.wait(value, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

}  // namespace warpbag::cpu
