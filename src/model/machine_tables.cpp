// SPDX-License-Identifier: Apache-2.0
#include "model/machine_tables.hpp"

#include <string>
#include <utility>

namespace warpbag::model {

namespace {

table_config make_table(std::string name, std::int64_t rows, std::int64_t dim,
                        const machine_options& options) {
  table_config table;
  table.name = std::move(name);
  table.num_embeddings = rows;
  table.embedding_dim = dim;
  table.type = options.row_type;
  table.init = initialization::zero;
  table.optimizer = options.optimizer;
  return table;
}

}  // namespace

std::vector<table_config> machine_tables(const machine_config& config) {
  std::vector<table_config> tables;
  for (const machine_table& table : config.tables) {
    table_config vectors =
        make_table(table.name + ".vector", table.num_rows, config.options.dim, config.options);
    vectors.init = initialization::normal;
    vectors.init_scale = config.options.init_scale;
    tables.push_back(std::move(vectors));
    tables.push_back(make_table(table.name + ".linear", table.num_rows, 1, config.options));
  }
  tables.push_back(make_table("bias", 1, 1, config.options));
  return tables;
}

std::vector<feature_config> machine_features(const machine_config& config) {
  std::vector<feature_config> features;
  for (const char* const part : {".vector", ".linear"}) {
    for (const machine_feature& feature : config.features) {
      features.push_back(
          {feature.name + part, config.tables[feature.table].name + part, feature.mode});
    }
  }
  features.push_back({"bias", "bias", pooling_mode::sum});
  return features;
}

}  // namespace warpbag::model
