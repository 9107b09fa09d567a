// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "support/test_device.hpp"

namespace warpbag::support {

/// Values in memory of a device.
template <typename Element>
class device_array {
 public:
  device_array(test_device& device, std::vector<Element> values)
      : device_(&device),
        host_(std::move(values)),
        placed_(device.place(reinterpret_cast<std::byte*>(host_.data()), bytes())) {}
  device_array(device_array&& other) noexcept
      : device_(other.device_),
        host_(std::move(other.host_)),
        placed_(std::exchange(other.placed_, nullptr)) {}
  device_array& operator=(device_array&&) = delete;
  ~device_array() {
    if (placed_ != nullptr) device_->release(placed_);
  }

  Element* data() const { return reinterpret_cast<Element*>(placed_); }
  std::int64_t size() const { return static_cast<std::int64_t>(host_.size()); }
  std::size_t bytes() const { return host_.size() * sizeof(Element); }

  /// Waits, and copies back.
  const std::vector<Element>& values() {
    device_->fetch(reinterpret_cast<std::byte*>(host_.data()), placed_, bytes());
    return host_;
  }

 private:
  test_device* device_;
  std::vector<Element> host_;
  std::byte* placed_;
};

}  // namespace warpbag::support
