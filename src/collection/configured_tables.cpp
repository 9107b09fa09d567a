// SPDX-License-Identifier: Apache-2.0
#include "collection/configured_tables.hpp"

#include <set>

#include "collection/refuse.hpp"
#include "collection/table_memory.hpp"
#include "collection/validate.hpp"

namespace warpbag {

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

namespace collection {

namespace {

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
    check_config(tables[t], names.table(t));
  }
  for (std::size_t f = 0; f < features.size(); ++f) {
    check_mode(features[f].mode, names.feature(f));
    try {
      find_table(tables, features[f].table);
    } catch (const invalid_argument& fault) {
      refuse(names.feature(f), ": ", fault.what());
    }
  }
  return names;
}

}  // namespace

configured_tables::configured_tables(std::vector<table_config> tables,
                                     std::vector<feature_config> features,
                                     const collection_options& options)
    : tables_(std::move(tables)),
      features_(std::move(features)),
      names_(check_configs(tables_, features_)),
      options_(options) {
  for (const feature_config& feature : features_) {
    const std::size_t table = find_table(tables_, feature.table);
    feature_views_.push_back({static_cast<std::int32_t>(table), feature.mode, {}});
  }
}

void configured_tables::place_steps(operations::device_access& access) {
  access_ = &access;
  steps_ = device_buffer(access, tables_.size() * sizeof(step_state));
  std::vector<step_state> first;
  for (const table_config& table : tables_) {
    first.push_back({.learning_rate = table.optimizer.learning_rate});
  }
  if (!first.empty()) access.write_steps(step(0), first);
}

void configured_tables::drop_pretrained() {
  for (table_config& table : tables_) table.pretrained = {};
}

std::span<const feature_view> configured_tables::with_bags(std::span<const jagged_view> bags) {
  if (bags.size() != feature_views_.size()) {
    refuse(bags.size(), " bags for ", feature_views_.size(), " features");
  }
  for (std::size_t f = 0; f < bags.size(); ++f) feature_views_[f].bags = bags[f];
  return feature_views_;
}

void configured_tables::check_table(std::size_t table) const {
  if (table >= tables_.size()) refuse("table ", table, ", but there are ", tables_.size());
}

const table_config& configured_tables::table(std::size_t table) const {
  check_table(table);
  return tables_[table];
}

const feature_config& configured_tables::feature(std::size_t feature) const {
  if (feature >= features_.size()) {
    refuse("feature ", feature, ", but there are ", features_.size());
  }
  return features_[feature];
}

std::size_t configured_tables::table_index(std::string_view name) const {
  return find_table(tables_, name);
}

/// The domain of a running learning rate is that of the first one.
void configured_tables::check_learning_rate(std::size_t table, float learning_rate) const {
  optimizer_options optimizer = tables_[table].optimizer;
  optimizer.learning_rate = learning_rate;
  try {
    validate(optimizer);
  } catch (const invalid_argument& fault) {
    refuse(names_.table(table), ": ", fault.what());
  }
}

void configured_tables::set_learning_rate(float learning_rate) {
  for (std::size_t t = 0; t < tables_.size(); ++t) check_learning_rate(t, learning_rate);
  access_->set_learning_rate(step(0), tables_.size(), learning_rate);
}

void configured_tables::set_learning_rate(std::size_t table, float learning_rate) {
  check_table(table);
  check_learning_rate(table, learning_rate);
  access_->set_learning_rate(step(table), 1, learning_rate);
}

step_state configured_tables::step_of(std::size_t table) const {
  check_table(table);
  return access_->read_step(step(table));
}

void configured_tables::set_step(std::size_t table, const step_state& state) {
  check_table(table);
  check_learning_rate(table, state.learning_rate);
  for (const double power : {state.beta1_power, state.beta2_power}) {
    if (!(power >= 0.0 && power <= 1.0)) {
      refuse(names_.table(table), ": a power of beta is ", power, ", must be in [0, 1]");
    }
  }
  access_->write_steps(step(table), {&state, 1});
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

}  // namespace collection

}  // namespace warpbag
