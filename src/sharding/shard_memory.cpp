// SPDX-License-Identifier: Apache-2.0
#include "sharding/shard_memory.hpp"

#include <algorithm>
#include <cstring>

#include "collection/validate.hpp"
#include "collection/validate_checks.hpp"

namespace warpbag::sharding {

namespace {

using collection::device_buffer;
using collection::table_extent;
using operations::row_numbering;
using operations::shard_record;

std::int64_t padding_id(const table_config& config) {
  return collection::padding_row(config.padding_idx, config.num_embeddings);
}

table_extent extent_of_part(const table_layout& table, const table_part& part,
                            const table_config& config) {
  const column_piece& piece = table.pieces[part.piece];
  shard_record record;
  record.numbering = row_numbering::routed;
  record.num_owners = table.num_owners;
  record.owner = part.owner;
  record.routing = table.routing;
  record.first_column = static_cast<std::int32_t>(piece.first_column);
  record.whole_dim = static_cast<std::int32_t>(config.embedding_dim);
  std::int64_t padding = padding_id(config);
  if (padding >= 0) {
    const numerics::row_place place = numerics::place_of(table.routing, table.num_owners, padding);
    padding = place.owner == part.owner ? place.row : -1;
  }
  return {numerics::rows_of_owner(table.routing, table.num_owners, part.owner), piece.num_columns,
          padding, record};
}

table_extent extent_of_replica(const table_layout& table, const table_config& config,
                               const std::int64_t* replicated) {
  if (table.is_data_parallel()) return table_extent(config);
  shard_record record;
  record.numbering = row_numbering::listed;
  record.ids = replicated;
  const auto padding =
      std::lower_bound(table.replicated.begin(), table.replicated.end(), padding_id(config));
  const bool here = padding != table.replicated.end() && *padding == padding_id(config);
  return {static_cast<std::int64_t>(table.replicated.size()), config.embedding_dim,
          here ? padding - table.replicated.begin() : -1, record};
}

/// The shard's part of the first values that the caller gave, on the host.
std::vector<std::byte> part_of_pretrained(const table_config& config, const shard& shard) {
  const const_tensor_view& given = config.pretrained;
  const std::size_t element = size_of(config.type);
  const auto row_bytes = static_cast<std::size_t>(shard.memory.weight().dim) * element;
  std::vector<std::byte> part(static_cast<std::size_t>(shard.num_rows) * row_bytes);
  for (std::int64_t row = 0; row < shard.num_rows; ++row) {
    const std::int64_t first = shard.id_of(row) * given.stride + shard.first_column;
    std::memcpy(
        part.data() + static_cast<std::size_t>(row) * row_bytes,
        static_cast<const std::byte*>(given.data) + static_cast<std::size_t>(first) * element,
        row_bytes);
  }
  return part;
}

}  // namespace

std::int64_t shard::row_of(std::int64_t id) const {
  if (has_rows_by_id()) return id;
  if (is_replica) {
    const auto found = std::lower_bound(replicated_ids.begin(), replicated_ids.end(), id);
    const bool here = found != replicated_ids.end() && *found == id;
    return here ? found - replicated_ids.begin() : -1;
  }
  const numerics::row_place place =
      numerics::place_of(record.shard.routing, record.shard.num_owners, id);
  return place.owner == record.shard.owner ? place.row : -1;
}

shard_memory::shard_memory(const layout& layout, int rank,
                           collection::configured_tables& configured,
                           operations::device_access& access, operations::backend& backend) {
  const auto& configs = configured.tables();
  for (const table_part& part : layout.parts_of(rank)) {
    const table_extent extent =
        extent_of_part(layout.tables()[part.table], part, configs[part.table]);
    shards_.push_back(make_shard(configured, part.table, extent, access, backend, {}, {}));
  }
  num_parts_ = shards_.size();
  for (std::size_t t = 0; t < configs.size(); ++t) {
    const table_layout& table = layout.tables()[t];
    operations::route_record route;
    route.routing = table.routing;
    route.num_owners = table.num_owners;
    if (table.has_replica()) {
      const std::size_t bytes = table.replicated.size() * sizeof(std::int64_t);
      device_buffer replicated(access, bytes);
      if (bytes > 0) access.write(replicated.data(), table.replicated.data(), bytes);
      route.replicated = replicated.as<std::int64_t>();
      route.num_replicated = static_cast<std::int64_t>(table.replicated.size());
      const table_extent extent = extent_of_replica(table, configs[t], route.replicated);
      shards_.push_back(make_shard(configured, t, extent, access, backend, std::move(replicated),
                                   table.replicated));
      shards_.back().is_replica = true;
    }
    routes_.push_back(route);
  }
}

shard shard_memory::make_shard(collection::configured_tables& configured, std::size_t table,
                               const table_extent& extent, operations::device_access& access,
                               operations::backend& backend, device_buffer replicated,
                               const std::vector<std::int64_t>& replicated_ids) {
  const auto rng_table = static_cast<std::uint32_t>(table);
  const std::uint64_t seed = configured.options().seed;
  table_config config = configured.tables()[table];
  shard result = {table,
                  extent.shard.first_column,
                  false,
                  extent.num_rows,
                  collection::table_memory(access, config, extent),
                  {},
                  std::move(replicated),
                  replicated_ids};
  result.record.shard = extent.shard;
  if (extent.num_rows > 0) {
    std::vector<std::byte> given;
    if (config.pretrained.data != nullptr) {
      given = part_of_pretrained(config, result);
      config.pretrained =
          const_tensor_view(given.data(), config.type, extent.num_rows, extent.num_columns);
    }
    result.memory.initialize(backend, access, config, extent, seed, rng_table);
  }
  result.record = collection::record_of(
      collection::make_view(config, result.memory, configured.step(table), seed, rng_table));
  result.record.num_rows = std::max<std::int64_t>(extent.num_rows, 1);
  result.record.padding_idx = -1;  // no rank asks for a padding row
  result.record.shard = extent.shard;
  return result;
}

shard* shard_memory::replica_of(std::size_t table) {
  for (std::size_t s = num_parts_; s < shards_.size(); ++s) {
    if (shards_[s].table == table) return &shards_[s];
  }
  return nullptr;
}

}  // namespace warpbag::sharding
