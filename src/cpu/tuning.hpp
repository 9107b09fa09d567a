// SPDX-License-Identifier: Apache-2.0
#pragma once
// What speed depends on and bits do not: how work is cut and how far ahead memory is asked for.
// docs/performance.md says how each was found.

#include <algorithm>
#include <cstdint>

namespace warpbag::cpu::tuning {

/// Of every CPU that is supported.
inline constexpr std::int64_t cache_line_bytes = 64;

// ---- how work is cut ----
/// Lookups (bags that begin among them) that one thread pools at a time. Finding the first bag is
/// a binary search of about 20 cache misses at most: below 1 ns a lookup at this size. A batch of
/// 10,000 lookups still makes ten pieces of work.
inline constexpr std::int64_t lookups_per_chunk = 1024;

/// Occurrences (runs that begin among them) whose gradients one thread sums at a time. What is
/// known of them fits L1 beside the rows.
inline constexpr std::int64_t occurrences_per_chunk = 512;

/// Ids or offsets that one thread checks at a time: 64 KiB, some microseconds.
inline constexpr std::int64_t values_per_chunk = 8192;

/// Rows that one thread rescales, updates or writes at a time: 128 KiB at dim 128.
inline constexpr std::int64_t rows_per_chunk = 256;

/// A feature with a bag of several chunks is cut by columns too, into parts of at least two cache
/// lines of fp32.
inline constexpr std::int64_t columns_per_part = 32;

/// A run of more than 1 / (threads * this) of all occurrences, which would keep one thread busy
/// alone at the end, is summed by all of them, a slice each; but not runs so short that waking the
/// threads takes longer.
inline constexpr int long_runs_per_thread = 4;
inline constexpr std::int64_t shortest_long_run = 2048;

/// Runs up to this are looked up ahead and summed in one pass. In longer ones leaves have eight
/// occurrences on average, and a pass for each is cheap.
inline constexpr std::int64_t longest_windowed_run = 512;

/// Which sums of the tree end with an occurrence is as good as random. Strips of so few vectors do
/// all additions and keep the right ones, which is cheaper than a mispredicted branch.
inline constexpr int most_vectors_added_blindly = 2;

/// Widest digit of the radix sort: 2048 places of 4 bytes are a quarter of L1, and 22-bit rows take
/// two passes.
inline constexpr int max_digit_bits = 11;

/// Tables of so few rows in all need no sort but one counter a row and thread: 64 KiB, in L2.
inline constexpr std::int64_t most_counted_rows = std::int64_t{1} << 14;

/// How often a thread that waits for others looks before it sleeps: 10 to 50 microseconds. To wake
/// a sleeper takes 5 to 50, and a step has about ten loops, the shorter of which would take less.
inline constexpr int spins_before_sleep = 1000;

// ---- how far ahead rows are prefetched ----
/// Rows of a smaller table are in L1 or L2 already: a processor finds them early enough by itself,
/// and asking costs a third of pooling them.
inline constexpr std::int64_t near_table_bytes = std::int64_t{128} << 10;
/// Bytes of memory on their way to a thread: 128 lines. A core has 10 to 16 L1 misses and 48 L2
/// misses in flight at most; twice as much pushes lines out of L1 before their use.
inline constexpr std::int64_t bytes_ahead = 8192;
/// Narrow rows: asking further ahead than this gains nothing and spoils more at the end of a chunk.
inline constexpr std::int64_t most_rows_ahead = 64;
inline constexpr std::int64_t fewest_rows_ahead = 4;

/// How many rows ahead of its use a row is asked for.
constexpr std::int64_t rows_ahead(std::int64_t row_bytes) {
  return std::clamp(bytes_ahead / row_bytes, fewest_rows_ahead, most_rows_ahead);
}

/// Of a row that is asked for as a whole. The rest of longer ones is left to the hardware's own
/// streams.
inline constexpr std::int64_t most_bytes_asked_for = 1024;

/// Occurrences between asking for the number of an occurrence's bag, which says where its gradient
/// is, and reading it.
inline constexpr std::int64_t bags_ahead = 64;

}  // namespace warpbag::cpu::tuning
