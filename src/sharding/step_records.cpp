// SPDX-License-Identifier: Apache-2.0
#include "sharding/step_records.hpp"

#include <algorithm>

#include "collection/validate_checks.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

bool renormalizes(const collection::configured_tables& configured) {
  return std::any_of(configured.tables().begin(), configured.tables().end(),
                     [](const table_config& table) { return table.max_norm.has_value(); });
}

bool trains(const collection::configured_tables& configured) {
  return std::any_of(configured.tables().begin(), configured.tables().end(),
                     [](const table_config& table) { return !table.freeze; });
}

std::vector<std::size_t> tables_of_features(const collection::configured_tables& configured) {
  std::vector<std::size_t> tables;
  for (const feature_config& feature : configured.features()) {
    tables.push_back(configured.table_index(feature.table));
  }
  return tables;
}

std::vector<operations::table_record> make_whole_tables(
    const collection::configured_tables& configured) {
  collection::call_records call;
  for (const table_config& config : configured.tables()) {
    operations::table_record table;
    table.num_rows = config.num_embeddings;
    table.dim = static_cast<std::int32_t>(config.embedding_dim);
    table.row_stride = config.embedding_dim;
    table.row_type = config.type;
    table.padding_idx = collection::padding_row(config.padding_idx, config.num_embeddings);
    call.tables.push_back(table);
  }
  lay_out(call);
  return call.tables;
}

collection::call_records with_a_row_per_lookup(collection::call_records call) {
  for (operations::table_record& table : call.tables) table.num_rows = 1;  // the padding row
  for (const operations::feature_record& feature : call.features) {
    call.tables[static_cast<std::size_t>(feature.table)].num_rows += feature.num_ids;
  }
  lay_out(call);
  return call;
}

collection::call_records make_stepped(const collection::configured_tables& configured) {
  collection::call_records call;
  call.tables = make_whole_tables(configured);
  for (std::size_t t = 0; t < call.tables.size(); ++t) {
    call.tables[t].optimizer = configured.tables()[t].optimizer;
    call.tables[t].step = configured.step(t);
    if (configured.tables()[t].freeze) continue;
    call.tables[t].gradient.form = operations::gradient_form::fused;
  }
  lay_out(call);
  return call;
}

}  // namespace warpbag::sharding
