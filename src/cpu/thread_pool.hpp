// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
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
  void serve(int thread);
  std::uint32_t wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) const;

  int num_threads_;
  int spins_;  // looks at a word before the thread sleeps on it

  // The loop: written while it is closed and nobody is at work in it.
  std::int64_t count_ = 0;
  void* body_ = nullptr;
  invoke_function invoke_ = nullptr;
  std::atomic<std::int64_t> next_index_{0};

  /// A worker joins a loop that is open; one that wakes too late is not waited for.
  static constexpr std::uint32_t open = std::uint32_t{1} << 31;
  std::atomic<std::uint32_t> loop_state_{0};   // `open`, and how many workers have joined
  std::atomic<std::uint32_t> loop_number_{0};  // of the last loop begun: what workers sleep on
  std::atomic<bool> stopping_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;

  std::vector<std::jthread> workers_;
};

}  // namespace warpbag::cpu
