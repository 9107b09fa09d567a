// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the factorization machine does on a device apart from its embedding bags: get a batch there
// and the losses back, and the formulas between the pooled vectors and the loss.

#include <cstddef>
#include <memory>

#include "cpu/thread_pool.hpp"
#include "model/score_job.hpp"
#include "warpbag/resources.hpp"

namespace warpbag::model {

/// Host memory with a twin of the same size on the device (on the CPU: the same memory). Copies are
/// enqueued in stream order. The destructor waits for them.
class twin_memory {
 public:
  twin_memory() = default;
  twin_memory(const twin_memory&) = delete;
  twin_memory& operator=(const twin_memory&) = delete;
  virtual ~twin_memory() = default;

  virtual std::byte* host() noexcept = 0;
  virtual std::byte* device() noexcept = 0;
  /// The first `bytes` bytes.
  virtual void copy_to_device(std::size_t bytes) = 0;
  virtual void copy_to_host(std::size_t bytes) = 0;
  /// Waits for the last copy.
  virtual void wait() = 0;
};

class model_device {
 public:
  model_device() = default;
  model_device(const model_device&) = delete;
  model_device& operator=(const model_device&) = delete;
  virtual ~model_device() = default;

  /// For the collection; on CUDA with a stream that this object owns.
  virtual const resources& get_resources() const noexcept = 0;

  /// To prepare batches with, between the other calls.
  virtual cpu::thread_pool& host_threads() noexcept = 0;

  virtual std::unique_ptr<twin_memory> make_twin_memory(std::size_t bytes) = 0;
  /// Memory of the device, filled with +0 and freed in stream order.
  virtual std::shared_ptr<float> make_zeros(std::size_t count) = 0;
  /// Enqueues the job. CPU and CUDA give the same bits.
  virtual void score(const score_job& job) = 0;
};

std::unique_ptr<model_device> make_cpu_model_device(int num_threads);
/// Throws device_unavailable.
std::unique_ptr<model_device> make_cuda_model_device(int ordinal);
std::unique_ptr<model_device> make_model_device(device where, int num_threads);

}  // namespace warpbag::model
