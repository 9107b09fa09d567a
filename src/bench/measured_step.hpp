// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tables and one batch of a workload on a device, and the operations that are measured on them.

#include <memory>

#include "bench/batch.hpp"
#include "operations/moved_bytes.hpp"
#include "warpbag/embedding_bag.hpp"

namespace warpbag::bench {

/// The calls of warpbag/embedding_bag.hpp. deduplicate: the sort alone. backward_sparse and
/// backward_fused: with the sort. train_step: forward and backward_fused.
enum class measured_call : std::uint8_t {
  forward,
  deduplicate,
  backward_sparse,
  backward_fused,
  train_step
};
std::string_view to_string(measured_call call);

/// Bytes on the device.
struct memory_use {
  double tables = 0.0;     // with optimizer states
  double batch = 0.0;      // ids, offsets, weights, outputs, gradients
  double workspace = 0.0;  // the library's own
};

class measured_step {
 public:
  /// Allocates and fills everything. Throws invalid_argument, bad_allocation.
  measured_step(const workload& workload, const resources& resources);
  ~measured_step();

  /// What has to come before one run() of this call, and is not to be measured.
  void prepare(measured_call call);
  void run(measured_call call);
  /// Waits; throws bad_batch.
  void check();

  const batch_statistics& statistics() const;
  operations::moved_bytes bytes(measured_call call) const;
  memory_use memory() const;

 private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

}  // namespace warpbag::bench
