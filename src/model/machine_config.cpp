// SPDX-License-Identifier: Apache-2.0
#include "model/machine_config.hpp"

#include <algorithm>

#include "warpbag/error.hpp"

namespace warpbag::model {

namespace {

pooling_mode mode_of(const dataset_feature& feature, const machine_options& options) {
  const auto chosen = options.pooling.find(feature.name);
  if (chosen != options.pooling.end()) return chosen->second;
  return feature.multi_hot && feature.name == "history" ? pooling_mode::mean : pooling_mode::sum;
}

void check(const dataset& samples, const machine_options& options) {
  if (options.dim < 1 || options.dim > 8192) {
    throw invalid_argument("dim must be 1 to 8192, not " + std::to_string(options.dim));
  }
  if (options.max_rows < 0) {
    throw invalid_argument("max_rows must not be negative: " + std::to_string(options.max_rows));
  }
  for (const auto& [name, mode] : options.pooling) {
    const dataset_feature& feature = samples.features()[samples.feature_index(name)];
    if (!feature.multi_hot) {
      throw invalid_argument("feature '" + name + "' has one id per sample: nothing to pool");
    }
    if (mode == pooling_mode::none) {
      throw invalid_argument("feature '" + name + "': pooling must be sum, mean or max");
    }
  }
}

}  // namespace

machine_config make_machine_config(const dataset& samples, const machine_options& options) {
  check(samples, options);
  machine_config config;
  config.options = options;
  for (const dataset_table& table : samples.tables()) {
    const std::int64_t rows =
        options.max_rows == 0 ? table.num_ids : std::min(table.num_ids, options.max_rows);
    config.tables.push_back({table.name, rows});
  }
  for (const dataset_feature& feature : samples.features()) {
    config.features.push_back(
        {feature.name, feature.table, mode_of(feature, options), feature.multi_hot});
  }
  return config;
}

}  // namespace warpbag::model
