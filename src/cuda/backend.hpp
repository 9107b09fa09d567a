// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device_allocation.hpp"
#include "cuda/launch_context.hpp"
#include "cuda/stages.hpp"
#include "cuda/workspace.hpp"
#include "operations/backend.hpp"

namespace warpbag::cuda {

/// The operations on one CUDA device and stream. Between reserve calls nothing allocates, and only
/// what asks (status, copy_occurrences) waits, so every step can be captured in a CUDA graph.
class cuda_backend final : public operations::backend {
 public:
  /// Throws invalid_argument for the legacy default stream, device_unavailable, bad_allocation.
  explicit cuda_backend(const resources& resources);

  warpbag::device device() const override { return device_; }
  void reserve(const operations::problem_limits& limits) override;

  void check_inputs(const operations::problem& problem) override;
  void deduplicate(const operations::problem& problem) override;
  void renormalize_rows(const operations::problem& problem) override;
  void pool(const operations::problem& problem) override;
  void sample_weight_gradient(const operations::problem& problem) override;
  void advance_steps(const operations::problem& problem) override;
  void reduce_gradients(const operations::problem& problem) override;
  void update_rows(const operations::problem& problem) override;
  void initialize_rows(const operations::table_record& table, numerics::init_kind kind,
                       float scale) override;
  void fill(float* memory, std::int64_t count, float value) override;

  operations::input_status status() override;
  void clear_status() override;
  operations::occurrences copy_occurrences(const operations::problem& problem) override;

 private:
  /// Whether records that are already on the device may be used again. A step begins with fresh
  /// ones: a captured graph, replayed since, may have left its own there.
  enum class record_source { fresh, cached };

  /// Makes context_ speak of this problem. Throws invalid_argument when it is over the limits.
  void prepare(const operations::problem& problem, record_source source);
  void pack_records(const operations::problem& problem);
  unsigned long long capture() const;
  template <typename Value>
  Value* part(std::size_t offset) const;
  template <typename Value>
  std::vector<Value> copied(const Value* source, std::size_t count) const;

  warpbag::device device_;
  memory_resource* memory_;
  device_allocation status_;
  device_allocation workspace_;
  workspace_layout layout_ = {};
  launch_context context_;
  std::vector<std::uint64_t> packed_;    // records of the call at hand
  std::vector<std::uint64_t> uploaded_;  // records on the device, as this stream's work goes
  unsigned long long uploaded_in_ = 0;   // the capture they were uploaded in, 0: none
};

}  // namespace warpbag::cuda
