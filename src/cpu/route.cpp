// SPDX-License-Identifier: Apache-2.0
// The runs of deduplicate ascend by table and row. A stable sort by destination keeps that order
// within each destination; the place of a run in it is its compact id, which all its positions get.

#include "cpu/backend.hpp"
#include "cpu/gradient_rows.hpp"
#include "cpu/radix_sort.hpp"

namespace warpbag::cpu {

using operations::route_record;
using operations::routed_rows;

namespace {

constexpr std::int64_t items_per_chunk = 4096;

std::int64_t chunks_of_items(std::int64_t items) {
  return (items + items_per_chunk - 1) / items_per_chunk;
}

/// counts[d] of the items, which ascend by destination.
void count_destinations(const packed_item* items, std::int64_t num_items, int run_bits,
                        std::int64_t num_destinations, std::int64_t* counts) {
  const packed_item* first = items;
  for (std::int64_t d = 0; d < num_destinations; ++d) {
    const packed_item* const last =
        std::partition_point(first, items + num_items, [&](const packed_item& item) {
          return item.row(run_bits) <= static_cast<std::uint64_t>(d);
        });
    counts[d] = last - first;
    first = last;
  }
}

}  // namespace

template <typename Index>
void cpu_backend::write_compact_ids(const problem& problem, void* const* compact_ids) {
  const workspace_arrays& arrays = workspace_.arrays();
  // What is no occurrence first, then the occurrences, run by run.
  for_each_chunk(
      problem.features.size(),
      [&](std::size_t f) {
        return chunks_of_items(bag_positions<Index>(problem.features[f]).covered());
      },
      [&](std::size_t f, std::int64_t chunk, int) {
        const feature_record& feature = problem.features[f];
        const auto t = static_cast<std::size_t>(feature.table);
        const table_record& table = problem.tables[t];
        const auto num_routed = static_cast<Index>(arrays.first_run[t + 1] - arrays.first_run[t]);
        const auto* const ids = static_cast<const Index*>(feature.ids);
        auto* const compact = static_cast<Index*>(compact_ids[f]);
        const std::int64_t first = chunk * items_per_chunk;
        const std::int64_t last =
            std::min(first + items_per_chunk, bag_positions<Index>(feature).covered());
        for (std::int64_t i = first; i < last; ++i) {
          const lookup_kind kind = classify(ids[i], table.num_rows, table.padding_idx);
          compact[i] = kind == lookup_kind::bad ? Index{-1} : num_routed;
        }
      });
  const gradient_rows lookups(problem, arrays);
  const std::int64_t num_occurrences = arrays.run_begins[num_runs_];
  threads_.for_each(chunks_of_items(num_occurrences), [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * items_per_chunk;
    const std::int64_t last = std::min(first + items_per_chunk, num_occurrences);
    const std::uint32_t* const begins = arrays.run_begins;
    std::int64_t run = std::upper_bound(begins, begins + num_runs_, first) - begins - 1;
    for (std::int64_t i = first; i < last; ++i) {
      if (i == begins[run + 1]) ++run;
      const occurrence lookup = lookups.find(arrays.positions[i]);
      const auto f = static_cast<std::size_t>(lookup.feature - problem.features.data());
      static_cast<Index*>(compact_ids[f])[lookup.position] =
          static_cast<Index>(arrays.compact_id[run]);
    }
  });
}

void cpu_backend::route(const problem& problem, std::span<const route_record> tables,
                        const routed_rows& to) {
  const workspace_arrays& arrays = workspace_.arrays();
  arrays.first_destination[0] = 0;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    arrays.first_destination[t + 1] = arrays.first_destination[t] + tables[t].num_destinations();
  }
  const std::int64_t num_destinations = arrays.first_destination[tables.size()];
  const int run_bits = bits_below(num_runs_);
  auto* const items = static_cast<packed_item*>(arrays.sort_items[0]);
  const auto for_each_run = [&](auto body) {
    for_each_chunk(
        tables.size(),
        [&](std::size_t t) {
          return chunks_of_items(arrays.first_run[t + 1] - arrays.first_run[t]);
        },
        [&](std::size_t t, std::int64_t chunk, int) {
          const std::int64_t first = arrays.first_run[t] + chunk * items_per_chunk;
          const std::int64_t last = std::min(first + items_per_chunk, arrays.first_run[t + 1]);
          for (std::int64_t i = first; i < last; ++i) body(t, i);
        });
  };
  for_each_run([&](std::size_t t, std::int64_t run) {
    const numerics::row_place place =
        operations::destination_of(tables[t], arrays.rows[run] - problem.tables[t].first_row);
    arrays.routed_row[run] = place.row;
    items[run] = packed_item::make(arrays.first_destination[t] + place.owner, run, run_bits);
  });

  const int parts = threads_.num_threads();
  for (int part = 0; part < parts; ++part) {
    const auto [first, last] = equal_part(num_runs_, part, parts);
    arrays.thread_counts[part] = last - first;
  }
  const packed_item* const sorted = radix_sort(
      threads_, items, static_cast<packed_item*>(arrays.sort_items[1]),
      {arrays.thread_counts, num_runs_}, num_destinations, run_bits, arrays.digit_counts);
  count_destinations(sorted, num_runs_, run_bits, num_destinations, to.counts);
  for_each_run([&](std::size_t t, std::int64_t i) {
    const std::uint32_t run = sorted[i].position(run_bits);
    to.rows[i] = arrays.routed_row[run];
    arrays.compact_id[run] = static_cast<std::uint32_t>(i - arrays.first_run[t]);
  });
  with_index_type(problem.ids_type, [&]<typename Index>(Index) {
    write_compact_ids<Index>(problem, to.compact_ids);
  });
}

}  // namespace warpbag::cpu
