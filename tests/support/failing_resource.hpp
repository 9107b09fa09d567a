// SPDX-License-Identifier: Apache-2.0
#pragma once
// A memory resource that counts, and whose k-th allocation fails when a test asks for it.

#include <mutex>
#include <string>

#include "warpbag/error.hpp"
#include "warpbag/memory_resource.hpp"

namespace warpbag::support {

class failing_resource final : public memory_resource {
 public:
  explicit failing_resource(memory_resource& upstream) : upstream_(upstream) {}

  /// The k-th allocation from now on fails (from 1 on); with `persistent` every later one too.
  void fail_at(int k, bool persistent = false) {
    const std::lock_guard lock(mutex_);
    countdown_ = k;
    persistent_ = persistent;
  }
  void never_fail() { fail_at(0); }
  std::size_t live_bytes() const { return live_bytes_; }
  std::size_t live_blocks() const { return live_blocks_; }

  void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream stream) override {
    const std::lock_guard lock(mutex_);
    if (countdown_ > 0 && --countdown_ == 0) {
      countdown_ = persistent_ ? 1 : 0;
      throw bad_allocation("allocation of " + std::to_string(bytes) + " bytes failed by the test");
    }
    void* const memory = upstream_.allocate(bytes, alignment, stream);
    live_bytes_ += bytes;
    ++live_blocks_;
    return memory;
  }

  void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept override {
    const std::lock_guard lock(mutex_);
    upstream_.deallocate(memory, bytes, stream);
    live_bytes_ -= bytes;
    --live_blocks_;
  }

 private:
  memory_resource& upstream_;
  std::mutex mutex_;
  int countdown_ = 0;
  bool persistent_ = false;
  std::size_t live_bytes_ = 0;
  std::size_t live_blocks_ = 0;
};

}  // namespace warpbag::support
