// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the owner of tables does with memory of a device apart from the operations: allocate, copy,
// set a learning rate. Every call works on the device and the stream of its resources, whatever
// device is current in the calling thread, and leaves that one current.

#include <cstddef>
#include <memory>
#include <span>

#include "warpbag/optimizer.hpp"
#include "warpbag/resources.hpp"
#include "warpbag/tensor_view.hpp"

namespace warpbag::operations {

class device_access {
 public:
  device_access() = default;
  device_access(const device_access&) = delete;
  device_access& operator=(const device_access&) = delete;
  virtual ~device_access() = default;

  /// `bytes` > 0, aligned to 256. Throws bad_allocation.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* memory, std::size_t bytes) noexcept = 0;

  /// Copies of rows between the device and contiguous host memory. These wait.
  virtual void copy_to_host(void* host, const const_tensor_view& source) = 0;
  virtual void copy_from_host(const tensor_view& destination, const void* host) = 0;
  /// Bytes between the host and the device, and within the device. read and write wait for the
  /// copy alone to be done with the host's memory; copy is enqueued.
  virtual void read(void* host, const void* device, std::size_t bytes) = 0;
  virtual void write(void* device, const void* host, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  /// Rows within the device; same type and shape, any strides. Enqueued.
  virtual void copy_rows(const tensor_view& to, const const_tensor_view& from) = 0;
  virtual step_state read_step(const step_state* source) = 0;
  virtual void write_steps(step_state* destination, std::span<const step_state> states) = 0;

  /// states[0, count).learning_rate = learning_rate, in stream order and without waiting: the value
  /// travels with the launch, so the caller may set the next one at once, and in a CUDA graph.
  virtual void set_learning_rate(step_state* states, std::size_t count, float learning_rate) = 0;
};

/// resources.memory must not be nullptr.
std::unique_ptr<device_access> make_cpu_device_access(const resources& resources);
/// Throws device_unavailable in a build without CUDA.
std::unique_ptr<device_access> make_cuda_device_access(const resources& resources);
/// That of resources.where.
inline std::unique_ptr<device_access> make_device_access(const resources& resources) {
  return resources.where.kind == device_kind::cpu ? make_cpu_device_access(resources)
                                                  : make_cuda_device_access(resources);
}

}  // namespace warpbag::operations
