// SPDX-License-Identifier: Apache-2.0
#include "cpu/radix_sort.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "support/random_source.hpp"

namespace warpbag::cpu {
namespace {

struct row_and_position {
  std::int64_t row;
  std::int64_t position;
  friend bool operator==(const row_and_position&, const row_and_position&) = default;
};

/// Of each position its row, or -1 where the lookup is dead.
using rows_of_positions = std::vector<std::int64_t>;

template <typename Item>
std::vector<row_and_position> sorted(const rows_of_positions& rows, std::int64_t num_rows,
                                     int num_threads) {
  thread_pool threads(num_threads);
  const auto count = static_cast<std::int64_t>(rows.size());
  const int position_bits = bits_below(count);
  std::vector<Item> items(rows.size());
  std::vector<Item> other(rows.size());
  std::vector<std::int64_t> counts(static_cast<std::size_t>(num_threads), 0);
  for (int part = 0; part < num_threads; ++part) {
    const auto [first, last] = equal_part(count, part, num_threads);
    std::int64_t& found = counts[static_cast<std::size_t>(part)];
    for (std::int64_t position = first; position < last; ++position) {
      const std::int64_t row = rows[static_cast<std::size_t>(position)];
      if (row < 0) continue;
      items[static_cast<std::size_t>(first + found)] = Item::make(row, position, position_bits);
      ++found;
    }
  }
  std::vector<std::uint32_t> digit_counts(static_cast<std::size_t>(num_threads) << max_digit_bits);
  const Item* const result = radix_sort(threads, items.data(), other.data(), {counts.data(), count},
                                        num_rows, position_bits, digit_counts.data());
  std::vector<row_and_position> pairs;
  std::int64_t total = 0;
  for (const std::int64_t found : counts) total += found;
  for (std::int64_t i = 0; i < total; ++i) {
    pairs.push_back({static_cast<std::int64_t>(result[i].row(position_bits)),
                     result[i].position(position_bits)});
  }
  return pairs;
}

std::vector<row_and_position> expected(const rows_of_positions& rows) {
  std::vector<row_and_position> pairs;
  for (std::size_t position = 0; position < rows.size(); ++position) {
    if (rows[position] >= 0) {
      pairs.push_back({rows[position], static_cast<std::int64_t>(position)});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return a.row < b.row; });
  return pairs;
}

void expect_sorted(const rows_of_positions& rows, std::int64_t num_rows) {
  for (const int threads : {1, 2, 3, 7}) {
    if (fits_packed_item(num_rows, static_cast<std::int64_t>(rows.size()))) {
      EXPECT_EQ(sorted<packed_item>(rows, num_rows, threads), expected(rows))
          << num_rows << " rows, " << threads << " threads, packed";
    }
    EXPECT_EQ(sorted<wide_item>(rows, num_rows, threads), expected(rows))
        << num_rows << " rows, " << threads << " threads, wide";
  }
}

rows_of_positions drawn(std::size_t count, const std::function<std::int64_t()>& draw) {
  rows_of_positions rows(count);
  std::generate(rows.begin(), rows.end(), draw);
  return rows;
}

constexpr std::uint64_t seed = 20260301;

TEST(RadixSort, keeps_the_order_of_equal_rows_for_any_number_of_passes) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  // One digit, its last row, the first of two digits, two, three and six digits.
  for (const std::int64_t num_rows :
       {std::int64_t{2}, std::int64_t{2048}, std::int64_t{2049}, std::int64_t{1} << 22,
        (std::int64_t{1} << 32) + 1, (std::int64_t{1} << 60) + 1}) {
    expect_sorted(drawn(1500, [&] { return random.below(num_rows); }), num_rows);
  }
}

TEST(RadixSort, sorts_extreme_rows_when_they_use_every_bit) {
  const std::int64_t num_rows = (std::int64_t{1} << 62) + 5;
  expect_sorted({num_rows - 1, 0, num_rows - 1, 1, num_rows - 2, 0}, num_rows);
}

TEST(RadixSort, leaves_out_dead_lookups_when_whole_shares_are_dead) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  expect_sorted(drawn(1000, [] { return std::int64_t{-1}; }), 100);
  expect_sorted(drawn(1000, [&] { return random.chance(0.5) ? -1 : random.below(10); }), 10);
  rows_of_positions only_last(1000, -1);
  only_last.back() = 3;
  expect_sorted(only_last, 10);
}

TEST(RadixSort, keeps_positions_when_all_rows_are_equal_or_there_are_few_items) {
  expect_sorted(rows_of_positions(5000, 0), 1);
  expect_sorted({}, 10);
  expect_sorted({4}, 5);
  expect_sorted({4, 0}, 5);
}

TEST(BitsBelow, counts_the_bits_of_the_largest_number) {
  EXPECT_EQ(bits_below(0), 1);
  EXPECT_EQ(bits_below(1), 1);
  EXPECT_EQ(bits_below(2), 1);
  EXPECT_EQ(bits_below(3), 2);
  EXPECT_EQ(bits_below(256), 8);
  EXPECT_EQ(bits_below(257), 9);
  EXPECT_EQ(bits_below(INT64_MAX), 63);
}

}  // namespace
}  // namespace warpbag::cpu
