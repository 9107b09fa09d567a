// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "operations/device_access.hpp"

namespace warpbag::collection {

/// Owns a piece of memory of a device. The device_access must outlive it.
class device_buffer {
 public:
  device_buffer() = default;
  /// 0 bytes: owns nothing. Throws bad_allocation.
  device_buffer(operations::device_access& access, std::size_t bytes)
      : access_(&access), data_(bytes == 0 ? nullptr : access.allocate(bytes)), bytes_(bytes) {}
  device_buffer(device_buffer&& other) noexcept
      : access_(other.access_),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  device_buffer& operator=(device_buffer&& other) noexcept {
    std::swap(access_, other.access_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~device_buffer() {
    if (data_ != nullptr) access_->deallocate(data_, bytes_);
  }

  void* data() const { return data_; }
  template <typename Element>
  Element* as() const {
    return static_cast<Element*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  operations::device_access* access_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace warpbag::collection
