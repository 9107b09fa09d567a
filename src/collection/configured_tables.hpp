// SPDX-License-Identifier: Apache-2.0
#pragma once
// What collections of one device and of many have in common: names, configs, and one step_state a
// table.

#include <span>
#include <vector>

#include "collection/call_records.hpp"
#include "collection/device_buffer.hpp"
#include "warpbag/collection.hpp"

namespace warpbag::collection {

class configured_tables {
 public:
  /// Throws invalid_argument, naming the table or feature.
  configured_tables(std::vector<table_config> tables, std::vector<feature_config> features,
                    const collection_options& options);

  /// Makes the step states, with the first learning rates.
  void place_steps(operations::device_access& access);
  /// First values given by the caller are not kept.
  void drop_pretrained();

  const call_names& names() const { return names_; }
  const std::vector<table_config>& tables() const { return tables_; }
  const std::vector<feature_config>& features() const { return features_; }
  const collection_options& options() const { return options_; }
  step_state* step(std::size_t table) const { return steps_.as<step_state>() + table; }

  /// The features with these bags; valid until the next call.
  std::span<const feature_view> with_bags(std::span<const jagged_view> bags);

  /// These throw invalid_argument for what is not there or not in its domain.
  void check_table(std::size_t table) const;
  const table_config& table(std::size_t table) const;
  const feature_config& feature(std::size_t feature) const;
  std::size_t table_index(std::string_view name) const;
  void set_learning_rate(float learning_rate);
  void set_learning_rate(std::size_t table, float learning_rate);
  step_state step_of(std::size_t table) const;
  void set_step(std::size_t table, const step_state& state);

 private:
  void check_learning_rate(std::size_t table, float learning_rate) const;

  std::vector<table_config> tables_;
  std::vector<feature_config> features_;
  call_names names_;
  collection_options options_;
  std::vector<feature_view> feature_views_;  // with the bags of the call at hand
  operations::device_access* access_ = nullptr;
  device_buffer steps_;
};

/// Refuses a copy between a host buffer and memory of the device that cannot be.
void check_host_copy(const const_tensor_view& view, const void* host);

}  // namespace warpbag::collection
