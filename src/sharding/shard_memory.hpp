// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a rank holds: its parts of tables, and replicas.

#include <vector>

#include "collection/configured_tables.hpp"
#include "collection/table_memory.hpp"
#include "operations/backend.hpp"
#include "operations/routing.hpp"
#include "sharding/layout.hpp"

namespace warpbag::sharding {

/// A part of a table in this rank's memory: rows of one piece of columns, or the replica.
struct shard {
  std::size_t table = 0;
  std::int64_t first_column = 0;
  bool is_replica = false;
  std::int64_t num_rows = 0;  // may be 0; the record then says 1, because no id leads there
  collection::table_memory memory;
  operations::table_record record;           // gradient form none; ids are local rows
  collection::device_buffer replicated;      // ids of a replica of some rows, for record.shard
  std::vector<std::int64_t> replicated_ids;  // the same on the host

  /// Whether row r is id r of the table.
  bool has_rows_by_id() const {
    return record.shard.numbering == operations::row_numbering::own ||
           (record.shard.numbering == operations::row_numbering::routed &&
            record.shard.num_owners == 1);
  }
  /// The table's id of local row `row`.
  std::int64_t id_of(std::int64_t row) const {
    return replicated_ids.empty() ? record.shard.id_of(row)
                                  : replicated_ids[static_cast<std::size_t>(row)];
  }
  /// Where id `id` of the table is here; -1: it is elsewhere. 0 <= id < rows of the table. An owner
  /// has no use for its row of an id that is replicated; this gives it all the same.
  std::int64_t row_of(std::int64_t id) const;
};

class shard_memory {
 public:
  /// Allocates and initialises what `rank` holds.
  shard_memory(const layout& layout, int rank, collection::configured_tables& configured,
               operations::device_access& access, operations::backend& backend);

  /// First this rank's parts, in the order of layout.parts_of(rank), then the replicas in table
  /// order.
  std::vector<shard>& shards() { return shards_; }
  const std::vector<shard>& shards() const { return shards_; }
  std::size_t num_parts() const { return num_parts_; }
  /// The replica of a table; nullptr: it has none.
  shard* replica_of(std::size_t table);
  /// Where the rows of a table live, for route.
  const operations::route_record& route_of(std::size_t table) const { return routes_[table]; }
  std::span<const operations::route_record> routes() const { return routes_; }

 private:
  shard make_shard(collection::configured_tables& configured, std::size_t table,
                   const collection::table_extent& extent, operations::device_access& access,
                   operations::backend& backend, collection::device_buffer replicated,
                   const std::vector<std::int64_t>& replicated_ids);

  std::vector<shard> shards_;
  std::size_t num_parts_ = 0;
  std::vector<operations::route_record> routes_;
};

}  // namespace warpbag::sharding
