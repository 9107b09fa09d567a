// SPDX-License-Identifier: Apache-2.0
#include "warpbag/collection.hpp"

#include <cmath>
#include <set>

#include "collection/refuse.hpp"
#include "collection/step.hpp"
#include "collection/table_memory.hpp"

namespace warpbag {

namespace {

using collection::call_names;
using collection::device_buffer;
using collection::refuse;
using collection::table_memory;

template <typename Config>
std::vector<std::string> names_of(const std::vector<Config>& configs, const char* kind) {
  std::vector<std::string> names;
  std::set<std::string_view> seen;
  for (const Config& config : configs) {
    if (config.name.empty()) refuse(kind, " ", names.size(), " has no name");
    if (!seen.insert(config.name).second) refuse("two ", kind, "s are called \"", config.name, '"');
    names.push_back(config.name);
  }
  return names;
}

std::size_t find_table(const std::vector<table_config>& tables, std::string_view name) {
  for (std::size_t t = 0; t < tables.size(); ++t) {
    if (tables[t].name == name) return t;
  }
  refuse("there is no table \"", name, '"');
}

/// Names, tables that features refer to, options: all before memory is taken.
call_names check_configs(const std::vector<table_config>& tables,
                         const std::vector<feature_config>& features) {
  call_names names{names_of(tables, "table"), names_of(features, "feature")};
  for (std::size_t t = 0; t < tables.size(); ++t) {
    collection::check_config(tables[t], names.table(t));
  }
  for (std::size_t f = 0; f < features.size(); ++f) {
    collection::check_mode(features[f].mode, names.feature(f));
    try {
      find_table(tables, features[f].table);
    } catch (const invalid_argument& fault) {
      refuse(names.feature(f), ": ", fault.what());
    }
  }
  return names;
}

void check_host_copy(const const_tensor_view& view, const void* host) {
  if (view.rows < 0 || view.dim < 0 || view.stride < view.dim) {
    refuse("copy of [", view.rows, ", ", view.dim, "] with stride ", view.stride);
  }
  if (view.rows > 0 && view.dim > 0 && (view.data == nullptr || host == nullptr)) {
    refuse("copy of [", view.rows, ", ", view.dim, "] ",
           view.data == nullptr ? "of a view without memory" : "with a host buffer of nullptr");
  }
}

}  // namespace

table_config from_pretrained(std::string name, const_tensor_view weight, bool freeze) {
  table_config config;
  config.name = std::move(name);
  config.num_embeddings = weight.rows;
  config.embedding_dim = weight.dim;
  config.type = weight.type;
  config.freeze = freeze;
  config.pretrained = weight;
  return config;
}

struct embedding_bag_collection::implementation {
  implementation(std::vector<table_config> table_configs,
                 std::vector<feature_config> feature_configs, const resources& resources,
                 const collection_options& given_options)
      : names(check_configs(table_configs, feature_configs)),
        workspace(resources, given_options.policy),
        tables(std::move(table_configs)),
        features(std::move(feature_configs)),
        options(given_options),
        steps(access(), tables.size() * sizeof(step_state)) {
    workspace.get().set_names(names);
    make_tables();
    for (const feature_config& feature : features) {
      const std::size_t table = find_table(tables, feature.table);
      feature_views.push_back({static_cast<std::int32_t>(table), feature.mode, {}});
    }
  }

  void make_tables() {
    std::vector<step_state> first_steps;
    for (std::size_t t = 0; t < tables.size(); ++t) {
      table_config& config = tables[t];
      const auto rng_table = static_cast<std::uint32_t>(t);
      memory.emplace_back(access(), config);
      memory[t].initialize(workspace.get().backend(), access(), config, options.seed, rng_table);
      config.pretrained = {};
      first_steps.push_back({.learning_rate = config.optimizer.learning_rate});

      table_view view;
      view.weight = memory[t].weight();
      view.padding_idx = config.padding_idx;
      view.max_norm = config.max_norm;
      view.norm_type = config.norm_type;
      view.scale_grad_by_freq = config.scale_grad_by_freq;
      view.freeze = config.freeze;
      view.optimizer = config.optimizer;
      for (int i = 0; i < 2; ++i) view.state[i] = static_cast<float*>(memory[t].state(i).data);
      view.step = step(t);
      view.seed = options.seed;
      view.rng_table = rng_table;
      views.push_back(view);
    }
    if (!first_steps.empty()) access().write_steps(step(0), first_steps);
  }

  operations::device_access& access() { return workspace.get().access(); }
  step_state* step(std::size_t table) const { return steps.as<step_state>() + table; }

  std::span<const feature_view> with_bags(std::span<const jagged_view> bags) {
    if (bags.size() != feature_views.size()) {
      refuse(bags.size(), " bags for ", feature_views.size(), " features");
    }
    for (std::size_t f = 0; f < bags.size(); ++f) feature_views[f].bags = bags[f];
    return feature_views;
  }

  void check_table(std::size_t table) const {
    if (table >= tables.size()) refuse("table ", table, ", but there are ", tables.size());
  }

  /// The domain of a running learning rate is that of the first one.
  void check_learning_rate(std::size_t table, float learning_rate) const {
    optimizer_options optimizer = tables[table].optimizer;
    optimizer.learning_rate = learning_rate;
    try {
      validate(optimizer);
    } catch (const invalid_argument& fault) {
      refuse(names.table(table), ": ", fault.what());
    }
  }

  call_names names;
  step_workspace workspace;
  std::vector<table_config> tables;
  std::vector<feature_config> features;
  collection_options options;
  device_buffer steps;  // one step_state a table
  std::vector<table_memory> memory;
  std::vector<table_view> views;
  std::vector<feature_view> feature_views;  // with the bags of the call at hand
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
  implementation_->workspace.reserve(implementation_->views, implementation_->with_bags(bags));
}

void embedding_bag_collection::forward(std::span<const jagged_view> bags,
                                       std::span<const tensor_view> outputs) {
  auto& self = *implementation_;
  warpbag::forward(self.views, self.with_bags(bags), outputs, self.workspace);
}

void embedding_bag_collection::backward(std::span<const jagged_view> bags,
                                        std::span<const const_tensor_view> output_gradients,
                                        std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  backward_fused(self.views, self.with_bags(bags), output_gradients, self.workspace,
                 weight_gradients);
}

void embedding_bag_collection::backward_sparse(std::span<const jagged_view> bags,
                                               std::span<const const_tensor_view> output_gradients,
                                               std::span<const sparse_gradient> gradients,
                                               std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  warpbag::backward_sparse(self.views, self.with_bags(bags), output_gradients, gradients,
                           self.workspace, weight_gradients);
}

void embedding_bag_collection::backward_dense(std::span<const jagged_view> bags,
                                              std::span<const const_tensor_view> output_gradients,
                                              std::span<const tensor_view> gradients,
                                              std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  warpbag::backward_dense(self.views, self.with_bags(bags), output_gradients, gradients,
                          self.workspace, weight_gradients);
}

void embedding_bag_collection::apply_gradients(std::span<const sparse_gradient> gradients) {
  warpbag::apply_gradients(implementation_->views, gradients, implementation_->workspace);
}

void embedding_bag_collection::check() { implementation_->workspace.check(); }
std::int64_t embedding_bag_collection::bad_ids() { return implementation_->workspace.bad_ids(); }

void embedding_bag_collection::set_learning_rate(float learning_rate) {
  auto& self = *implementation_;
  for (std::size_t t = 0; t < self.tables.size(); ++t) self.check_learning_rate(t, learning_rate);
  self.access().set_learning_rate(self.step(0), self.tables.size(), learning_rate);
}

void embedding_bag_collection::set_learning_rate(std::string_view table, float learning_rate) {
  auto& self = *implementation_;
  const std::size_t t = table_index(table);
  self.check_learning_rate(t, learning_rate);
  self.access().set_learning_rate(self.step(t), 1, learning_rate);
}

step_state embedding_bag_collection::step_of(std::size_t table) {
  implementation_->check_table(table);
  return implementation_->access().read_step(implementation_->step(table));
}

void embedding_bag_collection::set_step(std::size_t table, const step_state& state) {
  implementation_->check_table(table);
  implementation_->check_learning_rate(table, state.learning_rate);
  for (const double power : {state.beta1_power, state.beta2_power}) {
    if (!(power >= 0.0 && power <= 1.0)) {
      refuse(implementation_->names.table(table), ": a power of beta is ", power,
             ", must be in [0, 1]");
    }
  }
  implementation_->access().write_steps(implementation_->step(table), {&state, 1});
}

std::size_t embedding_bag_collection::num_tables() const { return implementation_->tables.size(); }
std::size_t embedding_bag_collection::num_features() const {
  return implementation_->features.size();
}

const table_config& embedding_bag_collection::config(std::size_t table) const {
  implementation_->check_table(table);
  return implementation_->tables[table];
}

const feature_config& embedding_bag_collection::feature(std::size_t feature) const {
  if (feature >= num_features()) refuse("feature ", feature, ", but there are ", num_features());
  return implementation_->features[feature];
}

std::size_t embedding_bag_collection::table_index(std::string_view name) const {
  return find_table(implementation_->tables, name);
}

const resources& embedding_bag_collection::get_resources() const {
  return implementation_->workspace.get().get_resources();
}

const collection_options& embedding_bag_collection::options() const {
  return implementation_->options;
}

tensor_view embedding_bag_collection::weight(std::size_t table) {
  implementation_->check_table(table);
  return implementation_->memory[table].weight();
}

tensor_view embedding_bag_collection::state(std::size_t table, int index) {
  implementation_->check_table(table);
  if (index != 0 && index != 1) refuse("optimizer state ", index, ", must be 0 or 1");
  return implementation_->memory[table].state(index);
}

void embedding_bag_collection::copy_to_host(const_tensor_view source, void* host) {
  check_host_copy(source, host);
  implementation_->access().copy_to_host(host, source);
}

void embedding_bag_collection::copy_from_host(const void* host, tensor_view destination) {
  check_host_copy(destination, host);
  implementation_->access().copy_from_host(destination, host);
}

std::size_t embedding_bag_collection::workspace_bytes() const {
  return implementation_->workspace.bytes();
}

}  // namespace warpbag
