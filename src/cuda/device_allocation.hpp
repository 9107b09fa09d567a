// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

#include "warpbag/memory_resource.hpp"

namespace warpbag::cuda {

/// Memory of a device, given back in stream order when it goes. Move-only.
class device_allocation {
 public:
  static constexpr std::size_t alignment = 256;

  device_allocation() = default;
  device_allocation(memory_resource& memory, std::size_t bytes, cuda_stream stream)
      : memory_(&memory),
        data_(memory.allocate(bytes, alignment, stream)),
        bytes_(bytes),
        stream_(stream) {}
  device_allocation(device_allocation&& other) noexcept { swap(other); }
  device_allocation& operator=(device_allocation&& other) noexcept {
    device_allocation(std::move(other)).swap(*this);
    return *this;
  }
  ~device_allocation() {
    if (data_ != nullptr) memory_->deallocate(data_, bytes_, stream_);
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  void swap(device_allocation& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(stream_, other.stream_);
  }

  memory_resource* memory_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  cuda_stream stream_ = nullptr;
};

}  // namespace warpbag::cuda
