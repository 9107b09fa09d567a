// SPDX-License-Identifier: Apache-2.0
// Two parallel passes: all offsets, then the ids of the features before the first with bad offsets.
// That finds the first offender in the order features, offsets before ids, index.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/check_inputs.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include <limits>
#include <mutex>
#include <type_traits>

#include "cpu/backend.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

/// Whether some id is negative or not below num_rows. Both show in the sign of id or of
/// num_rows - 1 - id, which the compiler gathers from a vector of ids at a time.
template <typename Index>
bool any_bad(const Index* ids, std::int64_t count, std::int64_t num_rows) {
  // A table may have more rows than Index has numbers; then every id from 0 on is one of them.
  const auto largest =
      static_cast<Index>(std::min<std::int64_t>(num_rows - 1, std::numeric_limits<Index>::max()));
  using word = std::make_unsigned_t<Index>;
  word signs = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto id = static_cast<word>(ids[i]);
    signs |= id | (static_cast<word>(largest) - id);
  }
  return static_cast<Index>(signs) < 0;
}

bool any_bad_i32(const std::int32_t* ids, std::int64_t count, std::int64_t num_rows) {
  return any_bad(ids, count, num_rows);
}
bool any_bad_i64(const std::int64_t* ids, std::int64_t count, std::int64_t num_rows) {
  return any_bad(ids, count, num_rows);
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(any_bad_i32);
HWY_EXPORT(any_bad_i64);

/// Smallest (feature, index) reported, from any thread.
class first_offender {
 public:
  void report(std::size_t feature, std::int64_t index) {
    const std::lock_guard lock(mutex_);
    if (feature < feature_ || (feature == feature_ && index < index_)) {
      feature_ = feature;
      index_ = index;
    }
  }
  std::size_t feature() const { return feature_; }
  std::int64_t index() const { return index_; }

 private:
  std::mutex mutex_;
  std::size_t feature_ = SIZE_MAX;
  std::int64_t index_ = 0;
};

namespace {

using tuning::values_per_chunk;

std::int64_t chunks_of_values(std::int64_t values) {
  return (values + values_per_chunk - 1) / values_per_chunk;
}

std::int64_t num_offsets(const feature_record& feature) {
  if (feature.offsets == nullptr) return 0;
  return feature.num_bags + (feature.has_last_offset ? 1 : 0);
}

struct offsets_found {
  std::int64_t bad_index = -1;
  std::int64_t longest_bag = 0;
};

/// Offsets [first, last) of a feature, each against the one before it.
template <typename Index>
offsets_found scan_offsets(const feature_record& feature, std::int64_t first, std::int64_t last) {
  const Index* const offsets = static_cast<const Index*>(feature.offsets);
  offsets_found found;
  std::int64_t before = first == 0 ? 0 : std::int64_t{offsets[first - 1]};
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t offset = offsets[i];
    if (offset < before || offset > feature.num_ids || (i == 0 && offset != 0)) {
      found.bad_index = i;
      return found;
    }
    found.longest_bag = std::max(found.longest_bag, offset - before);
    before = offset;
  }
  if (last == feature.num_bags && !feature.has_last_offset) {
    found.longest_bag = std::max(found.longest_bag, feature.num_ids - before);
  }
  return found;
}

bool any_bad(const std::int32_t* ids, std::int64_t count, std::int64_t num_rows) {
  return HWY_DYNAMIC_DISPATCH(any_bad_i32)(ids, count, num_rows);
}
bool any_bad(const std::int64_t* ids, std::int64_t count, std::int64_t num_rows) {
  return HWY_DYNAMIC_DISPATCH(any_bad_i64)(ids, count, num_rows);
}

template <typename Index>
std::int64_t count_bad(const Index* ids, std::int64_t count, std::int64_t num_rows) {
  if (!any_bad(ids, count, num_rows)) return 0;
  std::int64_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    bad += classify(ids[i], num_rows, -1) == lookup_kind::bad ? 1 : 0;
  }
  return bad;
}

template <typename Index>
lookup_location locate_id(const problem& problem, std::size_t feature_index,
                          std::int64_t position) {
  const feature_record& feature = problem.features[feature_index];
  const bag_positions<Index> bags(feature);
  return {static_cast<std::int32_t>(feature_index), feature.table,
          bags.first_bag_from(position + 1) - 1, position,
          static_cast<const Index*>(feature.ids)[position]};
}

}  // namespace

/// Finds the first bad offset and, on the way, the longest bag of each feature.
template <typename Index>
void cpu_backend::check_offsets(const problem& problem, first_offender& bad_offset) {
  std::int64_t* const longest_bag = workspace_.arrays().longest_bag;
  for (std::size_t f = 0; f < problem.features.size(); ++f) {
    longest_bag[f] = problem.features[f].offsets == nullptr ? problem.features[f].hotness : 0;
  }
  std::mutex longest_mutex;
  for_each_chunk(
      problem.features.size(),
      [&](std::size_t f) { return chunks_of_values(num_offsets(problem.features[f])); },
      [&](std::size_t f, std::int64_t chunk, int) {
        const feature_record& feature = problem.features[f];
        const std::int64_t first = chunk * values_per_chunk;
        const std::int64_t last = std::min(first + values_per_chunk, num_offsets(feature));
        const offsets_found found = scan_offsets<Index>(feature, first, last);
        if (found.bad_index >= 0) bad_offset.report(f, found.bad_index);
        const std::lock_guard lock(longest_mutex);
        longest_bag[f] = std::max(longest_bag[f], found.longest_bag);
      });
}

/// Finds the first bad id of the first `num_features` features; returns how many there are.
template <typename Index>
std::int64_t cpu_backend::check_ids(const problem& problem, std::size_t num_features,
                                    first_offender& bad_id) {
  std::atomic<std::int64_t> bad_ids = 0;
  for_each_chunk(
      num_features,
      [&](std::size_t f) {
        return chunks_of_values(bag_positions<Index>(problem.features[f]).covered());
      },
      [&](std::size_t f, std::int64_t chunk, int) {
        const feature_record& feature = problem.features[f];
        const std::int64_t num_rows =
            problem.tables[static_cast<std::size_t>(feature.table)].num_rows;
        const std::int64_t first = chunk * values_per_chunk;
        const std::int64_t count =
            std::min(values_per_chunk, bag_positions<Index>(feature).covered() - first);
        const Index* const ids = static_cast<const Index*>(feature.ids) + first;
        const std::int64_t bad = count_bad(ids, count, num_rows);
        if (bad == 0) return;
        bad_ids.fetch_add(bad, std::memory_order_relaxed);
        std::int64_t index = 0;
        while (classify(ids[index], num_rows, -1) != lookup_kind::bad) ++index;
        bad_id.report(f, first + index);
      });
  return bad_ids;
}

void cpu_backend::refuse(input_fault fault, const lookup_location& where, std::int64_t limit) {
  if (status_.first_fault == input_fault::none) {
    status_.first_fault = fault;
    status_.where = where;
  }
  operations::throw_bad_batch(fault, where, limit);
}

template <typename Index>
void cpu_backend::check_offsets_and_ids(const problem& problem) {
  const std::size_t num_features = problem.features.size();
  first_offender bad_offset;
  check_offsets<Index>(problem, bad_offset);
  first_offender bad_id;
  const std::int64_t bad_ids =
      check_ids<Index>(problem, std::min(num_features, bad_offset.feature()), bad_id);

  if (problem.policy == bad_id_policy::error && bad_id.feature() < num_features) {
    const auto table = static_cast<std::size_t>(problem.features[bad_id.feature()].table);
    refuse(input_fault::id, locate_id<Index>(problem, bad_id.feature(), bad_id.index()),
           problem.tables[table].num_rows);
  }
  if (bad_offset.feature() < num_features) {
    const feature_record& feature = problem.features[bad_offset.feature()];
    const std::int64_t value = static_cast<const Index*>(feature.offsets)[bad_offset.index()];
    refuse(input_fault::offset,
           {static_cast<std::int32_t>(bad_offset.feature()), feature.table, bad_offset.index(), -1,
            value},
           feature.num_ids);
  }
  if (problem.policy != bad_id_policy::error) status_.bad_ids += bad_ids;
}

void cpu_backend::check_inputs(const problem& problem) {
  with_index_type(problem.ids_type,
                  [&]<typename Index>(Index) { check_offsets_and_ids<Index>(problem); });
}

}  // namespace warpbag::cpu
#endif
