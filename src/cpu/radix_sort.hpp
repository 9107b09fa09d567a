// SPDX-License-Identifier: Apache-2.0
#pragma once
// Stable radix sort of occurrences by global row, over the bits that rows of the problem can have.

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu/thread_pool.hpp"
#include "cpu/workspace.hpp"

namespace warpbag::cpu {

/// An occurrence to be sorted: row above, position below, in as few bytes as the problem allows.
struct packed_item {
  std::uint64_t word;
  static packed_item make(std::int64_t row, std::int64_t position, int position_bits) {
    return {static_cast<std::uint64_t>(row) << position_bits |
            static_cast<std::uint64_t>(position)};
  }
  std::uint64_t row(int position_bits) const { return word >> position_bits; }
  std::uint32_t position(int position_bits) const {
    return static_cast<std::uint32_t>(word & ((std::uint64_t{1} << position_bits) - 1));
  }
};
struct wide_item {
  std::uint64_t row_number;
  std::uint64_t position_number;
  static wide_item make(std::int64_t row, std::int64_t position, int) {
    return {static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(position)};
  }
  std::uint64_t row(int) const { return row_number; }
  std::uint32_t position(int) const { return static_cast<std::uint32_t>(position_number); }
};

/// Bits of the numbers in [0, count); at least 1.
inline int bits_below(std::int64_t count) {
  return count <= 2 ? 1 : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count - 1)));
}

inline bool fits_packed_item(std::int64_t rows, std::int64_t positions) {
  return bits_below(rows) + bits_below(positions) <= 64;
}

/// Part `part` of `parts` equal parts of [0, count).
inline std::pair<std::int64_t, std::int64_t> equal_part(std::int64_t count, int part, int parts) {
  // count < 2^32 and parts is a number of threads: the products do not overflow.
  return {count * part / parts, count * (part + 1) / parts};
}

/// The items to sort come in one piece per thread, in order: piece t is items[first_of(t)] and the
/// items after it, counts[t] of them. (Who finds items writes them where its share of the positions
/// begins, and leaves out dead ones.)
struct item_pieces {
  const std::int64_t* counts;  // [num_threads]
  std::int64_t positions;      // that the shares were cut from
};

/// Sorts by row with least significant digit first; all passes are stable, so equal rows keep their
/// order. `from` holds the pieces; both arrays are overwritten. Returns the one that holds the
/// result, without gaps. digit_counts: [num_threads, 2^max_digit_bits].
template <typename Item>
Item* radix_sort(thread_pool& threads, Item* from, Item* to, const item_pieces& pieces,
                 std::int64_t num_rows, int position_bits, std::uint32_t* digit_counts) {
  const int row_bits = bits_below(num_rows);
  const int passes = (row_bits + max_digit_bits - 1) / max_digit_bits;
  const int digit_bits = (row_bits + passes - 1) / passes;
  const std::uint64_t mask = (std::uint64_t{1} << digit_bits) - 1;
  const int parts = threads.num_threads();
  std::int64_t total = 0;
  for (int part = 0; part < parts; ++part) total += pieces.counts[part];

  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * digit_bits;
    const auto piece = [&](std::int64_t part) -> std::pair<const Item*, const Item*> {
      const int p = static_cast<int>(part);
      if (pass > 0) {
        const auto [first, last] = equal_part(total, p, parts);
        return {from + first, from + last};
      }
      const std::int64_t first = equal_part(pieces.positions, p, parts).first;
      return {from + first, from + first + pieces.counts[p]};
    };
    const auto digit_of = [&](const Item& item) { return item.row(position_bits) >> shift & mask; };

    threads.for_each(parts, [&](std::int64_t part, int) {
      std::uint32_t* const counts = digit_counts + (part << max_digit_bits);
      std::memset(counts, 0, (mask + 1) * sizeof(std::uint32_t));
      const auto [first, last] = piece(part);
      for (const Item* item = first; item != last; ++item) counts[digit_of(*item)] += 1;
    });
    std::uint32_t begin = 0;  // counts become places: digits in order, within a digit the pieces
    for (std::uint64_t digit = 0; digit <= mask; ++digit) {
      for (int part = 0; part < parts; ++part) {
        std::uint32_t& count = digit_counts[(std::uint64_t(part) << max_digit_bits) + digit];
        begin += std::exchange(count, begin);
      }
    }
    threads.for_each(parts, [&](std::int64_t part, int) {
      std::uint32_t* const places = digit_counts + (part << max_digit_bits);
      const auto [first, last] = piece(part);
      for (const Item* item = first; item != last; ++item) to[places[digit_of(*item)]++] = *item;
    });
    std::swap(from, to);
  }
  return from;
}

}  // namespace warpbag::cpu
