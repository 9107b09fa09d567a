// SPDX-License-Identifier: Apache-2.0
#include "collection/step.hpp"

namespace warpbag {

step_workspace::step_workspace(const resources& resources, bad_id_policy policy)
    : implementation_(std::make_unique<implementation>(resources, policy)) {}
step_workspace::step_workspace(step_workspace&&) noexcept = default;
step_workspace& step_workspace::operator=(step_workspace&&) noexcept = default;
step_workspace::~step_workspace() = default;

void step_workspace::reserve(std::span<const table_view> tables,
                             std::span<const feature_view> features) {
  implementation_->reserve(tables, features);
}

std::size_t step_workspace::bytes() const { return implementation_->bytes(); }
void step_workspace::check() { implementation_->check(); }
std::int64_t step_workspace::bad_ids() { return implementation_->bad_ids(); }

void forward(std::span<const table_view> tables, std::span<const feature_view> features,
             std::span<const tensor_view> outputs, step_workspace& workspace) {
  workspace.get().forward(tables, features, outputs);
}

void backward_fused(std::span<const table_view> tables, std::span<const feature_view> features,
                    std::span<const const_tensor_view> output_gradients, step_workspace& workspace,
                    std::span<float* const> weight_gradients) {
  workspace.get().backward(tables, features, output_gradients, collection::fused_target{},
                           weight_gradients);
}

void backward_sparse(std::span<const table_view> tables, std::span<const feature_view> features,
                     std::span<const const_tensor_view> output_gradients,
                     std::span<const sparse_gradient> gradients, step_workspace& workspace,
                     std::span<float* const> weight_gradients) {
  workspace.get().backward(tables, features, output_gradients, gradients, weight_gradients);
}

void backward_dense(std::span<const table_view> tables, std::span<const feature_view> features,
                    std::span<const const_tensor_view> output_gradients,
                    std::span<const tensor_view> gradients, step_workspace& workspace,
                    std::span<float* const> weight_gradients) {
  workspace.get().backward(tables, features, output_gradients, gradients, weight_gradients);
}

void apply_gradients(std::span<const table_view> tables, std::span<const sparse_gradient> gradients,
                     step_workspace& workspace) {
  workspace.get().apply_gradients(tables, gradients);
}

}  // namespace warpbag
