// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "warpbag/memory_resource.hpp"

namespace warpbag::sharding {

/// Gives out memory of another resource and knows how much of it is out. Thread-safe.
class counting_resource final : public memory_resource {
 public:
  explicit counting_resource(memory_resource& from) : from_(&from) {}

  void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream stream) override {
    void* const memory = from_->allocate(bytes, alignment, stream);
    bytes_ += bytes;
    return memory;
  }
  void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept override {
    bytes_ -= bytes;
    from_->deallocate(memory, bytes, stream);
  }

  std::size_t bytes() const { return bytes_; }

 private:
  memory_resource* from_;
  std::atomic<std::size_t> bytes_ = 0;
};

}  // namespace warpbag::sharding
