// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
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
  void advance_and_reduce(const operations::problem& problem) override;
  void route(const operations::problem& problem, std::span<const operations::route_record> tables,
             const operations::routed_rows& to) override;
  void split_by_subtree(const operations::problem& problem,
                        std::span<const operations::subtree_record> features) override;
  void pack_partials(const operations::problem& problem,
                     std::span<const operations::packed_record> features) override;
  void unpack_partials(std::int64_t count, const std::int64_t* packed,
                       const std::uint32_t* occurrences, std::int64_t* rows,
                       operations::partial_record* partials) override;
  void write_rows(const operations::table_record& table, const std::int64_t* rows,
                  std::int64_t count, const void* values) override;
  void add_row_lanes(const operations::problem& problem, operations::row_reduction which) override;
  void update_rows(const operations::problem& problem) override;
  void initialize_rows(const operations::table_record& table, numerics::init_kind kind,
                       float scale) override;
  void fill(float* memory, std::int64_t count, float value) override;

  operations::input_status status() override;
  void clear_status() override;
  operations::occurrences copy_occurrences(const operations::problem& problem) override;

 private:
  /// Whether records that are already on the device may be used again. A step begins with fresh
  /// ones: a captured graph, replayed since, may have left its own there. new_batch: fresh, and
  /// nothing is known against the batch.
  enum class record_source { new_batch, fresh, cached };

  /// Makes context_ speak of this problem. Throws invalid_argument when it is over the limits.
  void prepare(const operations::problem& problem, record_source source);
  void pack_records(const operations::problem& problem);
  void reduce(const operations::problem& problem, step_advance advance);
  void require_routed() const;
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
  std::vector<std::uint64_t> routing_;   // the same of an operation between ranks
  std::vector<std::uint64_t> uploaded_;  // records on the device, as this stream's work goes
  unsigned long long uploaded_in_ = 0;   // the capture they were uploaded in, 0: none
  bool gradients_half_done_ = false;     // the last reduce_gradients threw
  std::vector<kernels::pool_record> pool_records_;  // of a part, while they are packed
};

template <typename Value>
Value* cuda_backend::part(std::size_t offset) const {
  return reinterpret_cast<Value*>(workspace_.data() + offset);
}

/// Appends records to words that will be uploaded.
template <typename Record>
std::uint64_t* append(std::uint64_t* words, std::span<const Record> records) {
  static_assert(sizeof(Record) % sizeof(std::uint64_t) == 0);
  // A span of nothing may have no address, which memcpy does not take.
  if (!records.empty()) std::memcpy(words, records.data(), records.size_bytes());
  return words + records.size_bytes() / sizeof(std::uint64_t);
}

}  // namespace warpbag::cuda
