// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::feature_record;
using operations::problem;
using operations::route_record;

namespace {

/// (destination, id) of a row; the second is also the order within the destination.
struct routed_id {
  std::int32_t destination = 0;
  std::int64_t id = 0;
  std::int64_t row = 0;

  bool operator<(const routed_id& other) const {
    return destination != other.destination ? destination < other.destination : id < other.id;
  }
};

routed_id route_id(const route_record& table, std::int64_t id) {
  if (table.num_owners == 0) return {0, id, id};
  for (std::int64_t k = 0; k < table.num_replicated; ++k) {
    if (table.replicated[k] == id) return {table.num_owners, id, k};
  }
  const numerics::row_place place = numerics::place_of(table.routing, table.num_owners, id);
  return {place.owner, id, place.row};
}

std::set<routed_id> routed_ids(const problem& problem, std::int32_t table,
                               const route_record& route) {
  std::set<routed_id> ids;
  for (const feature_record& feature : problem.features) {
    if (feature.table != table) continue;
    for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
      for (const lookup& x : lookups_of(problem, feature, bag)) {
        if (x.kind == lookup_kind::live) ids.insert(route_id(route, x.row));
      }
    }
  }
  return ids;
}

std::vector<std::int64_t> compact_ids_of(const problem& problem, const feature_record& feature,
                                         const route_record& route,
                                         const std::set<routed_id>& ids) {
  const operations::table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
  std::vector<std::int64_t> result(static_cast<std::size_t>(feature.num_ids), 0);
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    for (const lookup& x : lookups_of(problem, feature, bag)) {
      std::int64_t& compact = result[static_cast<std::size_t>(x.position)];
      if (x.kind == lookup_kind::live) {
        compact = std::distance(ids.begin(), ids.find(route_id(route, x.row)));
      } else {
        const std::int64_t id = index_at(feature.ids, problem.ids_type, x.position);
        compact = id == table.padding_idx && id >= 0 ? std::ssize(ids) : -1;
      }
    }
  }
  return result;
}

}  // namespace

routing route(const problem& problem, std::span<const route_record> tables) {
  routing result;
  result.compact_ids.resize(problem.features.size());
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const std::set<routed_id> ids = routed_ids(problem, static_cast<std::int32_t>(t), tables[t]);
    std::vector<std::int64_t> counts(static_cast<std::size_t>(tables[t].num_destinations()), 0);
    for (const routed_id& id : ids) {
      result.rows.push_back(id.row);
      counts[static_cast<std::size_t>(id.destination)] += 1;
    }
    result.counts.insert(result.counts.end(), counts.begin(), counts.end());
    for (std::size_t f = 0; f < problem.features.size(); ++f) {
      const feature_record& feature = problem.features[f];
      if (feature.table != static_cast<std::int32_t>(t)) continue;
      result.compact_ids[f] = compact_ids_of(problem, feature, tables[t], ids);
    }
  }
  return result;
}

}  // namespace warpbag::reference
