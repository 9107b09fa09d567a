// SPDX-License-Identifier: Apache-2.0
#pragma once
// The bags of a feature and what its lookups are.

#include <algorithm>
#include <cstdint>

#include "cpu/tuning.hpp"
#include "operations/problem.hpp"

namespace warpbag::cpu {

using operations::feature_record;
using operations::table_record;

/// Positions (within the feature) of its bags. Index is the type of ids and offsets.
template <typename Index>
class bag_positions {
 public:
  explicit bag_positions(const feature_record& feature)
      : offsets_(static_cast<const Index*>(feature.offsets)), feature_(feature) {}

  std::int64_t begin(std::int64_t bag) const {
    return offsets_ == nullptr ? bag * feature_.hotness : std::int64_t{offsets_[bag]};
  }
  std::int64_t end(std::int64_t bag) const {
    if (offsets_ == nullptr) return (bag + 1) * feature_.hotness;
    return bag + 1 < feature_.num_bags || feature_.has_last_offset ? std::int64_t{offsets_[bag + 1]}
                                                                   : feature_.num_ids;
  }
  /// Positions that belong to a bag are [0, covered()).
  std::int64_t covered() const { return feature_.num_bags == 0 ? 0 : end(feature_.num_bags - 1); }

  /// First bag that begins at `position` or later; num_bags when there is none.
  std::int64_t first_bag_from(std::int64_t position) const {
    if (offsets_ == nullptr) {
      if (feature_.hotness == 0) return position > 0 ? feature_.num_bags : 0;
      return std::min(feature_.num_bags, (position + feature_.hotness - 1) / feature_.hotness);
    }
    return std::partition_point(offsets_, offsets_ + feature_.num_bags,
                                [position](Index offset) { return offset < position; }) -
           offsets_;
  }

 private:
  const Index* offsets_;
  const feature_record& feature_;
};

/// A lookup reads its row (live), is a bad id, or is padding, which adds nothing and trains
/// nothing.
enum class lookup_kind : std::uint8_t { live, bad, padding };

inline lookup_kind classify(std::int64_t id, std::int64_t num_rows, std::int64_t padding_idx) {
  if (static_cast<std::uint64_t>(id) >= static_cast<std::uint64_t>(num_rows)) {
    return lookup_kind::bad;
  }
  return id == padding_idx ? lookup_kind::padding : lookup_kind::live;
}

/// Calls body with a zero of the type of ids.
template <typename Body>
decltype(auto) with_index_type(index_type type, Body&& body) {
  return type == index_type::i32 ? body(std::int32_t{}) : body(std::int64_t{});
}

/// How many of ids[0, count) count in a mean: live ones, and bad ones where these become rows of
/// zeros.
template <typename Index>
std::int64_t counted_lookups(const Index* ids, std::int64_t count, const table_record& table,
                             bool bad_ids_count) {
  std::int64_t counted = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const lookup_kind kind = classify(ids[i], table.num_rows, table.padding_idx);
    counted += kind == lookup_kind::live || (kind == lookup_kind::bad && bad_ids_count) ? 1 : 0;
  }
  return counted;
}

// Work on the bags of a feature is cut where this many lookups end.
using tuning::lookups_per_chunk;

inline std::int64_t chunks_of(const feature_record& feature) {
  // Bags without lookups at the end of the feature begin at its end: the chunk there is theirs.
  return feature.num_bags == 0 ? 0 : feature.num_ids / lookups_per_chunk + 1;
}

struct bag_range {
  std::int64_t first;
  std::int64_t last;  // one past
};

/// Bags that begin in chunk `chunk` of the feature's positions.
template <typename Index>
bag_range bags_of_chunk(const feature_record& feature, std::int64_t chunk) {
  const bag_positions<Index> bags(feature);
  return {bags.first_bag_from(chunk * lookups_per_chunk),
          chunk + 1 == chunks_of(feature) ? feature.num_bags
                                          : bags.first_bag_from((chunk + 1) * lookups_per_chunk)};
}

}  // namespace warpbag::cpu
