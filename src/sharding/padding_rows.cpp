// SPDX-License-Identifier: Apache-2.0
#include "sharding/padding_rows.hpp"

#include <algorithm>

#include "collection/validate_checks.hpp"

namespace warpbag::sharding {

namespace {

std::byte* element(void* row, std::int64_t index, dtype type) {
  return static_cast<std::byte*>(row) + index * static_cast<std::int64_t>(size_of(type));
}

}  // namespace

padding_rows::padding_rows(const layout& layout, const std::vector<table_config>& configs,
                           operations::device_access& access)
    : layout_(&layout), configs_(&configs), access_(&access), rows_(configs.size()) {
  for (std::size_t t = 0; t < configs.size(); ++t) {
    const table_layout& table = layout.tables()[t];
    padding_row& row = rows_[t];
    row.id = collection::padding_row(configs[t].padding_idx, configs[t].num_embeddings);
    if (row.id < 0) continue;
    row.contents = collection::device_buffer(
        access, static_cast<std::size_t>(configs[t].embedding_dim) * size_of(configs[t].type));
    const auto listed = std::lower_bound(table.replicated.begin(), table.replicated.end(), row.id);
    if (table.is_data_parallel()) {
      row.replicated_row = row.id;
    } else if (listed != table.replicated.end() && *listed == row.id) {
      row.replicated_row = listed - table.replicated.begin();
    } else {
      const numerics::row_place place = numerics::place_of(table.routing, table.num_owners, row.id);
      row.owner = place.owner;
      row.row = place.row;
    }
  }
}

void padding_rows::share(rank_calls& calls, const shard_memory& shards) {
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    padding_row& row = rows_[t];
    const dtype type = (*configs_)[t].type;
    if (row.id < 0 || row.replicated_row >= 0) continue;
    for (const column_piece& piece : layout_->tables()[t].pieces) {
      receives.push_back({piece.ranks[static_cast<std::size_t>(row.owner)],
                          element(row.contents.data(), piece.first_column, type),
                          piece.num_columns * static_cast<std::int64_t>(size_of(type))});
    }
  }
  const auto& parts = layout_->parts_of(calls.rank());
  for (std::size_t k = 0; k < shards.shards().size(); ++k) {
    const shard& shard = shards.shards()[k];
    padding_row& row = rows_[shard.table];
    if (row.id < 0) continue;
    const tensor_view& weight = shard.memory.weight();
    const std::int64_t bytes = weight.dim * static_cast<std::int64_t>(size_of(weight.type));
    if (shard.is_replica && row.replicated_row >= 0) {
      access_->copy(row.contents.data(),
                    element(weight.data, row.replicated_row * weight.stride, weight.type),
                    static_cast<std::size_t>(bytes));
    } else if (!shard.is_replica && row.replicated_row < 0 && parts[k].owner == row.owner) {
      for (int rank = 0; rank < calls.size(); ++rank) {
        sends.push_back({rank, element(weight.data, row.row * weight.stride, weight.type), bytes});
      }
    }
  }
  calls.exchange(sends, receives);
  calls.ranks().wait();
}

void padding_rows::copy_to(std::size_t table, void* to) const {
  const padding_row& row = rows_[table];
  if (row.id >= 0) access_->copy(to, row.contents.data(), row.contents.bytes());
}

}  // namespace warpbag::sharding
