// SPDX-License-Identifier: Apache-2.0
#pragma once
// The order of operations in a step; this is the only place that knows it.

#include <memory>

#include "collection/call_records.hpp"
#include "collection/device_buffer.hpp"
#include "collection/validate.hpp"
#include "operations/backend.hpp"
#include "operations/device_access.hpp"
#include "warpbag/embedding_bag.hpp"

namespace warpbag::collection {

class step {
 public:
  /// Throws invalid_argument, device_unavailable.
  step(const resources& resources, bad_id_policy policy);

  void set_names(call_names names) { names_ = std::move(names); }
  const call_names& names() const { return names_; }

  /// The functions of embedding_bag.hpp.
  void reserve(std::span<const table_view> tables, std::span<const feature_view> features);
  void forward(std::span<const table_view> tables, std::span<const feature_view> features,
               std::span<const tensor_view> outputs);
  void backward(std::span<const table_view> tables, std::span<const feature_view> features,
                std::span<const const_tensor_view> output_gradients, const gradient_target& target,
                std::span<float* const> weight_gradients);
  void apply_gradients(std::span<const table_view> tables,
                       std::span<const sparse_gradient> gradients);
  void check();
  std::int64_t bad_ids();
  std::size_t bytes() const;

  /// With the memory resource filled in.
  const resources& get_resources() const { return resources_; }
  bad_id_policy policy() const { return policy_; }
  operations::backend& backend() { return *backend_; }
  operations::device_access& access() { return *access_; }

 private:
  /// What backward may do: nothing, until forward has pooled a batch; and a fused backward changes
  /// the rows that the gradients were taken at, so nothing after it.
  enum class batch_state : std::uint8_t { none, pooled, consumed };

  void reserve(const call_records& records);
  void place_max_positions(call_records& records) const;
  void check_inputs(const operations::problem& problem);
  /// Takes the counts of the backend over and clears it.
  operations::input_status take_status();
  /// Runs `body`; a bad batch says the names of its feature and table too.
  template <typename Body>
  void with_names(Body body) const;

  resources resources_;
  bad_id_policy policy_;
  call_names names_;
  std::unique_ptr<operations::device_access> access_;
  std::unique_ptr<operations::backend> backend_;
  operations::problem_limits limits_;  // that the backend has room for
  device_buffer max_positions_;
  call_records pooled_;  // of the last forward
  call_records call_;    // of the call at hand
  batch_state batch_ = batch_state::none;
  std::int64_t bad_ids_ = 0;  // before the backend was last cleared
};

/// Whether a device's memory can be read by the host.
inline bool is_host(device where) { return where.kind == device_kind::cpu; }

}  // namespace warpbag::collection

namespace warpbag {

struct step_workspace::implementation : collection::step {
  using step::step;
};

}  // namespace warpbag
