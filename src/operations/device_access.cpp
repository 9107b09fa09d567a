// SPDX-License-Identifier: Apache-2.0
#include "operations/device_access.hpp"

#include <algorithm>
#include <cstring>

namespace warpbag::operations {

namespace {

constexpr std::size_t alignment = 256;

struct row_bytes {
  explicit row_bytes(const const_tensor_view& view)
      : rows(static_cast<std::size_t>(view.rows)),
        used(static_cast<std::size_t>(view.dim) * size_of(view.type)),
        stride(static_cast<std::size_t>(view.stride) * size_of(view.type)) {
    if (used == stride && rows > 0) {  // one piece
      used = stride *= rows;
      rows = 1;
    }
  }
  std::size_t rows;
  std::size_t used;
  std::size_t stride;
};

class cpu_device_access final : public device_access {
 public:
  explicit cpu_device_access(const resources& resources) : memory_(*resources.memory) {}

  void* allocate(std::size_t bytes) override { return memory_.allocate(bytes, alignment, nullptr); }
  void deallocate(void* memory, std::size_t bytes) noexcept override {
    memory_.deallocate(memory, bytes, nullptr);
  }

  void copy_to_host(void* host, const const_tensor_view& source) override {
    const row_bytes bytes(source);
    for (std::size_t row = 0; row < bytes.rows; ++row) {
      std::memcpy(static_cast<std::byte*>(host) + row * bytes.used,
                  static_cast<const std::byte*>(source.data) + row * bytes.stride, bytes.used);
    }
  }
  void copy_from_host(const tensor_view& destination, const void* host) override {
    const row_bytes bytes(destination);
    for (std::size_t row = 0; row < bytes.rows; ++row) {
      std::memcpy(static_cast<std::byte*>(destination.data) + row * bytes.stride,
                  static_cast<const std::byte*>(host) + row * bytes.used, bytes.used);
    }
  }

  void read(void* host, const void* device, std::size_t bytes) override {
    copy(host, device, bytes);
  }
  void write(void* device, const void* host, std::size_t bytes) override {
    copy(device, host, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void copy_rows(const tensor_view& to, const const_tensor_view& from) override {
    const std::size_t bytes = static_cast<std::size_t>(from.dim) * size_of(from.type);
    const std::size_t to_stride = static_cast<std::size_t>(to.stride) * size_of(to.type);
    const std::size_t from_stride = static_cast<std::size_t>(from.stride) * size_of(from.type);
    for (std::size_t row = 0; row < static_cast<std::size_t>(from.rows); ++row) {
      std::memcpy(static_cast<std::byte*>(to.data) + row * to_stride,
                  static_cast<const std::byte*>(from.data) + row * from_stride, bytes);
    }
  }

  step_state read_step(const step_state* source) override { return *source; }
  void write_steps(step_state* destination, std::span<const step_state> states) override {
    std::copy(states.begin(), states.end(), destination);
  }

  void set_learning_rate(step_state* states, std::size_t count, float learning_rate) override {
    for (std::size_t t = 0; t < count; ++t) states[t].learning_rate = learning_rate;
  }

 private:
  memory_resource& memory_;
};

}  // namespace

std::unique_ptr<device_access> make_cpu_device_access(const resources& resources) {
  return std::make_unique<cpu_device_access>(resources);
}

}  // namespace warpbag::operations
