// SPDX-License-Identifier: Apache-2.0
#include "warpbag/collection.hpp"

#include "collection/configured_tables.hpp"
#include "collection/refuse.hpp"
#include "collection/step.hpp"
#include "collection/table_memory.hpp"

namespace warpbag {

struct embedding_bag_collection::implementation {
  implementation(std::vector<table_config> table_configs,
                 std::vector<feature_config> feature_configs, const resources& resources,
                 const collection_options& options)
      : workspace(resources, options.policy),
        configured(std::move(table_configs), std::move(feature_configs), options) {
    workspace.get().set_names(configured.names());
    configured.place_steps(access());
    for (std::size_t t = 0; t < configured.tables().size(); ++t) make_table(t);
    configured.drop_pretrained();
  }

  void make_table(std::size_t t) {
    const table_config& config = configured.tables()[t];
    const std::uint64_t seed = configured.options().seed;
    const auto rng_table = static_cast<std::uint32_t>(t);
    const collection::table_extent whole(config);
    memory.emplace_back(access(), config, whole);
    memory[t].initialize(workspace.get().backend(), access(), config, whole, seed, rng_table);
    views.push_back(collection::make_view(config, memory[t], configured.step(t), seed, rng_table));
  }

  operations::device_access& access() { return workspace.get().access(); }

  step_workspace workspace;  // its device_access outlives all memory below
  collection::configured_tables configured;
  std::vector<collection::table_memory> memory;
  std::vector<table_view> views;
};

embedding_bag_collection::embedding_bag_collection(std::vector<table_config> tables,
                                                   std::vector<feature_config> features,
                                                   const resources& resources,
                                                   const collection_options& options)
    : implementation_(std::make_unique<implementation>(std::move(tables), std::move(features),
                                                       resources, options)) {}
embedding_bag_collection::embedding_bag_collection(embedding_bag_collection&&) noexcept = default;
embedding_bag_collection& embedding_bag_collection::operator=(embedding_bag_collection&&) noexcept =
    default;
embedding_bag_collection::~embedding_bag_collection() = default;

void embedding_bag_collection::reserve(std::span<const jagged_view> bags) {
  implementation_->workspace.reserve(implementation_->views,
                                     implementation_->configured.with_bags(bags));
}

void embedding_bag_collection::forward(std::span<const jagged_view> bags,
                                       std::span<const tensor_view> outputs) {
  auto& self = *implementation_;
  warpbag::forward(self.views, self.configured.with_bags(bags), outputs, self.workspace);
}

void embedding_bag_collection::backward(std::span<const jagged_view> bags,
                                        std::span<const const_tensor_view> output_gradients,
                                        std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  backward_fused(self.views, self.configured.with_bags(bags), output_gradients, self.workspace,
                 weight_gradients);
}

void embedding_bag_collection::backward_sparse(std::span<const jagged_view> bags,
                                               std::span<const const_tensor_view> output_gradients,
                                               std::span<const sparse_gradient> gradients,
                                               std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  warpbag::backward_sparse(self.views, self.configured.with_bags(bags), output_gradients, gradients,
                           self.workspace, weight_gradients);
}

void embedding_bag_collection::backward_dense(std::span<const jagged_view> bags,
                                              std::span<const const_tensor_view> output_gradients,
                                              std::span<const tensor_view> gradients,
                                              std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  warpbag::backward_dense(self.views, self.configured.with_bags(bags), output_gradients, gradients,
                          self.workspace, weight_gradients);
}

void embedding_bag_collection::apply_gradients(std::span<const sparse_gradient> gradients) {
  warpbag::apply_gradients(implementation_->views, gradients, implementation_->workspace);
}

void embedding_bag_collection::check() { implementation_->workspace.check(); }
std::int64_t embedding_bag_collection::bad_ids() { return implementation_->workspace.bad_ids(); }

void embedding_bag_collection::set_learning_rate(float learning_rate) {
  implementation_->configured.set_learning_rate(learning_rate);
}

void embedding_bag_collection::set_learning_rate(std::string_view table, float learning_rate) {
  implementation_->configured.set_learning_rate(table_index(table), learning_rate);
}

step_state embedding_bag_collection::step_of(std::size_t table) {
  return implementation_->configured.step_of(table);
}

void embedding_bag_collection::set_step(std::size_t table, const step_state& state) {
  implementation_->configured.set_step(table, state);
}

std::size_t embedding_bag_collection::num_tables() const {
  return implementation_->configured.tables().size();
}
std::size_t embedding_bag_collection::num_features() const {
  return implementation_->configured.features().size();
}

const table_config& embedding_bag_collection::config(std::size_t table) const {
  return implementation_->configured.table(table);
}

const feature_config& embedding_bag_collection::feature(std::size_t feature) const {
  return implementation_->configured.feature(feature);
}

std::size_t embedding_bag_collection::table_index(std::string_view name) const {
  return implementation_->configured.table_index(name);
}

const resources& embedding_bag_collection::get_resources() const {
  return implementation_->workspace.get().get_resources();
}

const collection_options& embedding_bag_collection::options() const {
  return implementation_->configured.options();
}

tensor_view embedding_bag_collection::weight(std::size_t table) {
  implementation_->configured.check_table(table);
  return implementation_->memory[table].weight();
}

tensor_view embedding_bag_collection::state(std::size_t table, int index) {
  implementation_->configured.check_table(table);
  if (index != 0 && index != 1) collection::refuse("optimizer state ", index, ", must be 0 or 1");
  return implementation_->memory[table].state(index);
}

void embedding_bag_collection::copy_to_host(const_tensor_view source, void* host) {
  collection::check_host_copy(source, host);
  implementation_->access().copy_to_host(host, source);
}

void embedding_bag_collection::copy_from_host(const void* host, tensor_view destination) {
  collection::check_host_copy(destination, host);
  implementation_->access().copy_from_host(destination, host);
}

std::size_t embedding_bag_collection::workspace_bytes() const {
  return implementation_->workspace.bytes();
}

}  // namespace warpbag
