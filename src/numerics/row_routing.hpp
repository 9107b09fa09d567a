// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which owner a row of a sharded table lives with, and where (design.md section 4).
//
// An id goes through a keyed permutation of [0, num_rows) to a position; positions are cut into
// 2^16 virtual buckets of equal size, and owner o of n has the buckets b with b * n / 2^16 == o. So
// an owner's rows are a range of positions: its rows are dense, balanced to within one bucket's
// rows, and found both ways by arithmetic alone. Frequency-sorted ids, or ids that are all
// multiples of n, spread evenly, which a range split or a modulo does not do. Changing n moves
// whole buckets and no more of them than it must.
//
// The permutation is a Feistel network over the bits of num_rows - 1, walked until it falls back
// into range (fewer than two walks on average; Black and Rogaway, Ciphers with Arbitrary Finite
// Domains, 2002); its round function is the 64-bit finaliser of MurmurHash3. The function is part
// of what a run means: it changes only together with routing_version.

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

inline constexpr std::uint64_t routing_version = 1;
inline constexpr std::uint64_t routing_step = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
inline constexpr int bucket_bits = 16;
inline constexpr std::int64_t num_buckets = std::int64_t{1} << bucket_bits;
/// position * 2^16 fits in 63 bits.
inline constexpr std::int64_t max_routed_rows = std::int64_t{1} << 46;

struct row_routing {
  std::int64_t num_rows = 1;
  std::uint64_t key = 0;
  std::int32_t high_bits = 0;  // of a position; high_bits <= low_bits <= high_bits + 1
  std::int32_t low_bits = 0;
};

/// Where a row lives: with which of the table's owners, and which of the owner's rows it is.
struct row_place {
  std::int32_t owner = 0;
  std::int64_t row = 0;
};

WARPBAG_HOST_DEVICE constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDULL;
  x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53ULL;
  return x ^ x >> 33;
}

/// `table`: number of the table in random numbers (N5), so that tables of one size differ.
WARPBAG_HOST_DEVICE constexpr row_routing make_row_routing(std::int64_t num_rows,
                                                           std::uint32_t table) {
  int bits = 0;
  while (bits < 62 && std::int64_t{1} << bits < num_rows) ++bits;
  return {num_rows, mixed(routing_step * routing_version + table), bits / 2, bits - bits / 2};
}

inline constexpr int routing_rounds = 6;

WARPBAG_HOST_DEVICE constexpr std::uint64_t round_bits(const row_routing& routing, int round,
                                                       std::uint64_t half, std::int32_t bits) {
  const std::uint64_t word =
      mixed(half + routing.key + static_cast<std::uint64_t>(round) * routing_step);
  return word & ((std::uint64_t{1} << bits) - 1U);
}

/// One pass of the network: rounds in order, or in reverse to undo it.
WARPBAG_HOST_DEVICE constexpr std::uint64_t routing_network(const row_routing& routing,
                                                            std::uint64_t value, bool reverse) {
  std::uint64_t high = value >> routing.low_bits;
  std::uint64_t low = value & ((std::uint64_t{1} << routing.low_bits) - 1U);
  for (int i = 0; i < routing_rounds; ++i) {
    const int round = reverse ? routing_rounds - 1 - i : i;
    if (round % 2 == 0) {
      low ^= round_bits(routing, round, high, routing.low_bits);
    } else {
      high ^= round_bits(routing, round, low, routing.high_bits);
    }
  }
  return high << routing.low_bits | low;
}

WARPBAG_HOST_DEVICE constexpr std::int64_t routing_walk(const row_routing& routing,
                                                        std::int64_t value, bool reverse) {
  auto x = static_cast<std::uint64_t>(value);
  do {
    x = routing_network(routing, x, reverse);
  } while (x >= static_cast<std::uint64_t>(routing.num_rows));
  return static_cast<std::int64_t>(x);
}

/// 0 <= id < num_rows.
WARPBAG_HOST_DEVICE constexpr std::int64_t position_of(const row_routing& routing,
                                                       std::int64_t id) {
  return routing_walk(routing, id, false);
}
WARPBAG_HOST_DEVICE constexpr std::int64_t id_at(const row_routing& routing,
                                                 std::int64_t position) {
  return routing_walk(routing, position, true);
}

WARPBAG_HOST_DEVICE constexpr std::int64_t bucket_of(const row_routing& routing,
                                                     std::int64_t position) {
  return position * num_buckets / routing.num_rows;
}
WARPBAG_HOST_DEVICE constexpr std::int32_t owner_of_bucket(std::int64_t bucket,
                                                           std::int32_t num_owners) {
  return static_cast<std::int32_t>(bucket * num_owners >> bucket_bits);
}

/// First position of `owner`; of owner `num_owners`: num_rows. Owners are at most num_buckets. One
/// owner alone keeps its rows in the order of their ids.
WARPBAG_HOST_DEVICE constexpr std::int64_t first_position_of(const row_routing& routing,
                                                             std::int32_t num_owners,
                                                             std::int32_t owner) {
  const std::int64_t bucket = ((std::int64_t{owner} << bucket_bits) + num_owners - 1) / num_owners;
  return (bucket * routing.num_rows + num_buckets - 1) >> bucket_bits;
}

WARPBAG_HOST_DEVICE constexpr std::int64_t rows_of_owner(const row_routing& routing,
                                                         std::int32_t num_owners,
                                                         std::int32_t owner) {
  return first_position_of(routing, num_owners, owner + 1) -
         first_position_of(routing, num_owners, owner);
}

WARPBAG_HOST_DEVICE constexpr row_place place_of(const row_routing& routing,
                                                 std::int32_t num_owners, std::int64_t id) {
  if (num_owners == 1) return {0, id};
  const std::int64_t position = position_of(routing, id);
  const std::int32_t owner = owner_of_bucket(bucket_of(routing, position), num_owners);
  return {owner, position - first_position_of(routing, num_owners, owner)};
}

WARPBAG_HOST_DEVICE constexpr std::int64_t id_of(const row_routing& routing,
                                                 std::int32_t num_owners, row_place place) {
  if (num_owners == 1) return place.row;
  return id_at(routing, first_position_of(routing, num_owners, place.owner) + place.row);
}

}  // namespace warpbag::numerics
