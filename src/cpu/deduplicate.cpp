// SPDX-License-Identifier: Apache-2.0
// Occurrences are collected position by position (dead lookups are left out), sorted by row and cut
// into runs; where rows are few, both at once by counting. On the way every position learns its bag
// and every bag of a mean its scale.

#include <algorithm>
#include <span>
#include <utility>

#include "cpu/backend.hpp"
#include "cpu/radix_sort.hpp"
#include "numerics/gradient_tree.hpp"

namespace warpbag::cpu {

/// Writes the occurrences among positions [first, last) to items[0, 1, ...]; returns how many.
template <typename Item, typename Index>
std::int64_t cpu_backend::collect_occurrences(const problem& problem, int position_bits,
                                              Item* items, std::int64_t first, std::int64_t last) {
  const workspace_arrays& arrays = workspace_.arrays();
  const bool bad_ids_count = problem.policy == bad_id_policy::zero;
  Item* next = items;
  for (const feature_record& feature : problem.features) {
    const table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
    const bag_positions<Index> bags(feature);
    const Index* const ids = static_cast<const Index*>(feature.ids);
    const std::int64_t begin = std::max(first - feature.first_position, std::int64_t{0});
    const std::int64_t end = std::min(last - feature.first_position, bags.covered());
    if (begin >= end) continue;

    std::int64_t bag = bags.first_bag_from(begin + 1) - 1;
    for (std::int64_t position = begin; position < end; ++bag) {
      const std::int64_t bag_end = bags.end(bag);
      // A bag that two shares of the positions have a part of belongs to the one it begins in.
      if (feature.mode == pooling_mode::mean && bags.begin(bag) >= begin) {
        const std::int64_t counted =
            counted_lookups(ids + bags.begin(bag), bag_end - bags.begin(bag), table, bad_ids_count);
        arrays.scale_of_bag[feature.first_bag + bag] =
            counted == 0 ? 0.0F : numerics::mean_scale(counted);
      }
      for (; position < std::min(bag_end, end); ++position) {
        const std::int64_t global_position = feature.first_position + position;
        arrays.bag_of_position[global_position] =
            static_cast<std::uint32_t>(feature.first_bag + bag);
        const std::int64_t id = ids[position];
        // Written always and kept when live: no branch to mispredict.
        *next = Item::make(table.first_row + id, global_position, position_bits);
        next += classify(id, table.num_rows, table.padding_idx) == lookup_kind::live ? 1 : 0;
      }
    }
  }
  return next - items;
}

template <typename Item>
void cpu_backend::find_runs(const Item* items, int position_bits) {
  const workspace_arrays& arrays = workspace_.arrays();
  const int parts = threads_.num_threads();
  std::int64_t* const counts = arrays.thread_counts;
  std::int64_t total = 0;
  for (int part = 0; part < parts; ++part) total += counts[part];
  const auto begins_run = [&](std::int64_t i) {
    return i == 0 || items[i].row(position_bits) != items[i - 1].row(position_bits);
  };

  threads_.for_each(parts, [&](std::int64_t part, int) {
    const auto [first, last] = equal_part(total, static_cast<int>(part), parts);
    std::int64_t runs = 0;
    for (std::int64_t i = first; i < last; ++i) runs += begins_run(i) ? 1 : 0;
    counts[part] = runs;
  });
  std::int64_t runs_before = 0;
  for (int part = 0; part < parts; ++part) runs_before += std::exchange(counts[part], runs_before);
  num_runs_ = runs_before;

  threads_.for_each(parts, [&](std::int64_t part, int) {
    const auto [first, last] = equal_part(total, static_cast<int>(part), parts);
    std::int64_t run = counts[part];
    for (std::int64_t i = first; i < last; ++i) {
      arrays.positions[i] = items[i].position(position_bits);
      if (!begins_run(i)) continue;
      arrays.rows[run] = static_cast<std::int64_t>(items[i].row(position_bits));
      arrays.run_begins[run] = static_cast<std::uint32_t>(i);
      ++run;
    }
  });
  arrays.run_begins[num_runs_] = static_cast<std::uint32_t>(total);
}

/// Sort and runs in one: where a row's positions begin is the number of occurrences of the rows
/// below it.
template <typename Item>
void cpu_backend::count_runs(const problem& problem, const Item* items, int position_bits) {
  const workspace_arrays& arrays = workspace_.arrays();
  const int parts = threads_.num_threads();
  const auto counters = [&](std::int64_t part) {
    return arrays.row_counts + part * problem.total_rows;
  };
  const auto items_of = [&](std::int64_t part) {
    const std::int64_t first =
        equal_part(problem.total_positions, static_cast<int>(part), parts).first;
    return std::span(items + first, static_cast<std::size_t>(arrays.thread_counts[part]));
  };
  threads_.for_each(parts, [&](std::int64_t part, int) {
    std::uint32_t* const counts = counters(part);
    std::fill_n(counts, problem.total_rows, 0);
    for (const Item& item : items_of(part)) counts[item.row(position_bits)] += 1;
  });

  std::uint32_t begin = 0;
  std::int64_t run = 0;
  for (std::int64_t row = 0; row < problem.total_rows; ++row) {
    arrays.rows[run] = row;
    arrays.run_begins[run] = begin;
    for (int part = 0; part < parts; ++part) begin += std::exchange(counters(part)[row], begin);
    run += begin != arrays.run_begins[run] ? 1 : 0;
  }
  arrays.run_begins[run] = begin;
  num_runs_ = run;

  threads_.for_each(parts, [&](std::int64_t part, int) {
    std::uint32_t* const places = counters(part);
    for (const Item& item : items_of(part)) {
      arrays.positions[places[item.row(position_bits)]++] = item.position(position_bits);
    }
  });
}

template <typename Item>
void cpu_backend::sort_occurrences(const problem& problem) {
  const workspace_arrays& arrays = workspace_.arrays();
  const int position_bits = bits_below(problem.total_positions);
  const int parts = threads_.num_threads();
  Item* const items = static_cast<Item*>(arrays.sort_items[0]);
  threads_.for_each(parts, [&](std::int64_t part, int) {
    const auto [first, last] = equal_part(problem.total_positions, static_cast<int>(part), parts);
    arrays.thread_counts[part] =
        with_index_type(problem.ids_type, [&, f = first, l = last]<typename Index>(Index) {
          return collect_occurrences<Item, Index>(problem, position_bits, items + f, f, l);
        });
  });
  if (counts_rows(problem.total_rows, problem.total_positions)) {
    count_runs(problem, items, position_bits);
    return;
  }
  const Item* const sorted = radix_sort(threads_, items, static_cast<Item*>(arrays.sort_items[1]),
                                        {arrays.thread_counts, problem.total_positions},
                                        problem.total_rows, position_bits, arrays.digit_counts);
  find_runs(sorted, position_bits);
}

void cpu_backend::deduplicate(const problem& problem) {
  if (fits_packed_item(problem.total_rows, problem.total_positions)) {
    sort_occurrences<packed_item>(problem);
  } else {
    sort_occurrences<wide_item>(problem);
  }
  const workspace_arrays& arrays = workspace_.arrays();
  const std::int64_t* const rows_end = arrays.rows + num_runs_;
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    arrays.first_run[t] =
        std::lower_bound<const std::int64_t*>(arrays.rows, rows_end, problem.tables[t].first_row) -
        arrays.rows;
  }
  arrays.first_run[problem.tables.size()] = num_runs_;
}

operations::occurrences cpu_backend::copy_occurrences(const problem&) {
  const workspace_arrays& arrays = workspace_.arrays();
  const std::uint32_t* const begins = arrays.run_begins;
  return {{arrays.rows, arrays.rows + num_runs_},
          {begins, begins + num_runs_ + 1},
          {arrays.positions, arrays.positions + begins[num_runs_]}};
}

}  // namespace warpbag::cpu
