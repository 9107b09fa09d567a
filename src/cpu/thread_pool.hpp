// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace warpbag::cpu {

/// Threads that the process may run on (its affinity mask, not the machine's size).
int available_threads();

/// A fixed set of threads that share the indices of a loop. Indices are handed out one by one, so
/// what an index does must not depend on the thread that does it; then results do not depend on the
/// number of threads. One loop at a time: loops of one pool neither nest nor run beside each other.
class thread_pool {
 public:
  /// num_threads counts the calling thread; 0: available_threads().
  explicit thread_pool(int num_threads);
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool();

  int num_threads() const { return num_threads_; }

  /// body(index, thread) for each index in [0, count), thread in [0, num_threads()). Returns when
  /// all are done. If a body throws, indices not begun are left out and the first exception caught
  /// is thrown here.
  template <typename Body>
  void for_each(std::int64_t count, Body&& body) {
    using body_type = std::remove_reference_t<Body>;
    run(count, const_cast<void*>(static_cast<const void*>(&body)),
        [](void* context, std::int64_t index, int thread) {
          (*static_cast<body_type*>(context))(index, thread);
        });
  }

 private:
  using invoke_function = void (*)(void* body, std::int64_t index, int thread);

  void run(std::int64_t count, void* body, invoke_function invoke);
  void work(int thread) noexcept;
  void wait_for_loops(int thread, const std::stop_token& stop);

  int num_threads_;
  std::mutex mutex_;
  std::condition_variable_any loop_started_;
  std::condition_variable loop_ended_;
  std::uint64_t loop_number_ = 0;  // of the last loop started
  int workers_busy_ = 0;
  std::exception_ptr failure_;

  // The loop: written under the mutex while no worker is busy.
  std::int64_t count_ = 0;
  void* body_ = nullptr;
  invoke_function invoke_ = nullptr;
  std::atomic<std::int64_t> next_index_{0};

  std::vector<std::jthread> workers_;
};

}  // namespace warpbag::cpu
