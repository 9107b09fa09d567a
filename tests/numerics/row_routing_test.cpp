// SPDX-License-Identifier: Apache-2.0
#include "numerics/row_routing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace warpbag::numerics {
namespace {

struct golden_place {
  std::int64_t num_rows;
  std::uint32_t table;
  std::int32_t num_owners;
  std::int64_t id;
  std::int32_t owner;
  std::int64_t row;
};

/// From a second implementation, in integers of any size. Another function is another
/// routing_version.
constexpr golden_place golden_places[] = {
    {1, 0U, 2, 0, 0, 0},
    {1, 3U, 7, 0, 0, 0},
    {1, 0U, 64, 0, 0, 0},
    {2, 0U, 2, 0, 0, 0},
    {2, 0U, 2, 1, 1, 0},
    {2, 3U, 7, 0, 0, 0},
    {2, 3U, 7, 1, 3, 0},
    {2, 0U, 64, 0, 0, 0},
    {2, 0U, 64, 1, 32, 0},
    {5, 0U, 2, 0, 0, 0},
    {5, 0U, 2, 2, 1, 1},
    {5, 0U, 2, 4, 0, 2},
    {5, 3U, 7, 0, 4, 0},
    {5, 3U, 7, 2, 0, 0},
    {5, 3U, 7, 4, 1, 0},
    {5, 0U, 64, 0, 0, 0},
    {5, 0U, 64, 2, 51, 0},
    {5, 0U, 64, 4, 25, 0},
    {65536, 0U, 2, 0, 1, 21405},
    {65536, 0U, 2, 32768, 1, 11488},
    {65536, 0U, 2, 65535, 1, 30472},
    {65536, 3U, 7, 0, 6, 1254},
    {65536, 3U, 7, 32768, 0, 4971},
    {65536, 3U, 7, 65535, 5, 2575},
    {65536, 0U, 64, 0, 52, 925},
    {65536, 0U, 64, 32768, 43, 224},
    {65536, 0U, 64, 65535, 61, 776},
    {1000000007, 0U, 2, 0, 1, 200953792},
    {1000000007, 0U, 2, 500000003, 1, 204098218},
    {1000000007, 0U, 2, 1000000006, 1, 319147705},
    {1000000007, 3U, 7, 0, 3, 6516374},
    {1000000007, 3U, 7, 500000003, 0, 117427724},
    {1000000007, 3U, 7, 1000000006, 1, 21002572},
    {1000000007, 0U, 64, 0, 44, 13453791},
    {1000000007, 0U, 64, 500000003, 45, 973217},
    {1000000007, 0U, 64, 1000000006, 52, 6647703},
    {1099511627776, 0U, 2, 0, 0, 343388554421},
    {1099511627776, 0U, 2, 549755813888, 1, 437075941368},
    {1099511627776, 0U, 2, 1099511627775, 1, 90848548347},
    {1099511627776, 3U, 7, 0, 3, 42288333698},
    {1099511627776, 3U, 7, 549755813888, 6, 19778612552},
    {1099511627776, 3U, 7, 1099511627775, 5, 101749572791},
    {1099511627776, 0U, 64, 0, 19, 16971039925},
    {1099511627776, 0U, 64, 549755813888, 57, 7579211768},
    {1099511627776, 0U, 64, 1099511627775, 37, 4949202427},
    {70368744177664, 0U, 2, 0, 0, 28212710911574},
    {70368744177664, 0U, 2, 35184372088832, 1, 24211502270679},
    {70368744177664, 0U, 2, 70368744177663, 0, 30847074643634},
    {70368744177664, 3U, 7, 0, 6, 1440029835010},
    {70368744177664, 3U, 7, 35184372088832, 1, 7629795681725},
    {70368744177664, 3U, 7, 70368744177663, 1, 16612478632},
    {70368744177664, 0U, 64, 0, 25, 724920217174},
    {70368744177664, 0U, 64, 35184372088832, 54, 22246459607},
    {70368744177664, 0U, 64, 70368744177663, 28, 60749065906},
};

static_assert(routing_version == 1);

constexpr bool all_golden() {
  for (const golden_place& golden : golden_places) {
    const row_routing routing = make_row_routing(golden.num_rows, golden.table);
    const row_place place = place_of(routing, golden.num_owners, golden.id);
    if (place.owner != golden.owner || place.row != golden.row) return false;
    if (id_of(routing, golden.num_owners, place) != golden.id) return false;
  }
  return true;
}

static_assert(all_golden(), "places are known when a program is compiled");

TEST(RowRouting, gives_the_places_of_its_version) {
  for (const golden_place& golden : golden_places) {
    const row_routing routing = make_row_routing(golden.num_rows, golden.table);
    const row_place place = place_of(routing, golden.num_owners, golden.id);
    EXPECT_EQ(place.owner, golden.owner) << golden.id << " of " << golden.num_rows;
    EXPECT_EQ(place.row, golden.row) << golden.id << " of " << golden.num_rows;
  }
}

TEST(RowRouting, gives_every_id_a_place_of_its_own_and_finds_the_way_back) {
  for (const std::int64_t num_rows : {1, 2, 3, 5, 64, 1000, 65535, 65536, 65537, 200000}) {
    const row_routing routing = make_row_routing(num_rows, 9);
    for (const std::int32_t owners : {1, 2, 3, 7, 64, 1000, 65536}) {
      std::vector<bool> seen(static_cast<std::size_t>(num_rows), false);
      for (std::int64_t id = 0; id < num_rows; ++id) {
        const row_place place = place_of(routing, owners, id);
        ASSERT_GE(place.owner, 0);
        ASSERT_LT(place.owner, owners);
        ASSERT_GE(place.row, 0);
        ASSERT_LT(place.row, rows_of_owner(routing, owners, place.owner));
        ASSERT_EQ(id_of(routing, owners, place), id);
        const auto at =
            static_cast<std::size_t>(first_position_of(routing, owners, place.owner) + place.row);
        ASSERT_FALSE(seen[at]) << num_rows << " rows, " << owners << " owners, id " << id;
        seen[at] = true;
      }
    }
  }
}

TEST(RowRouting, gives_owners_all_rows_in_nearly_equal_numbers) {
  for (const std::int64_t num_rows :
       {std::int64_t{1}, std::int64_t{65536}, std::int64_t{1000000007}, max_routed_rows}) {
    const row_routing routing = make_row_routing(num_rows, 0);
    for (const std::int32_t owners : {1, 2, 7, 64, 1000}) {
      std::int64_t total = 0;
      const std::int64_t bucket_rows = num_rows / num_buckets + 1;
      for (std::int32_t owner = 0; owner < owners; ++owner) {
        const std::int64_t rows = rows_of_owner(routing, owners, owner);
        EXPECT_LE(std::abs(rows - num_rows / owners), 2 * bucket_rows) << num_rows << " " << owners;
        total += rows;
      }
      EXPECT_EQ(total, num_rows);
    }
  }
}

/// Most lookups of an owner over the mean.
double imbalance(const row_routing& routing, std::int32_t owners,
                 const std::vector<std::int64_t>& ids) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(owners), 0);
  for (const std::int64_t id : ids) {
    ++counts[static_cast<std::size_t>(place_of(routing, owners, id).owner)];
  }
  return static_cast<double>(*std::max_element(counts.begin(), counts.end())) * owners /
         static_cast<double>(ids.size());
}

TEST(RowRouting, spreads_multiples_of_the_owner_count_and_the_most_frequent_ids) {
  const row_routing routing = make_row_routing(10000000, 4);
  for (const std::int32_t owners : {2, 4, 7, 8, 16}) {
    std::vector<std::int64_t> multiples;
    std::vector<std::int64_t> frequent;  // a vocabulary is often sorted by frequency
    for (std::int64_t i = 0; i < 40000; ++i) {
      multiples.push_back(i * owners);
      frequent.push_back(i);
    }
    EXPECT_LE(imbalance(routing, owners, multiples), 1.1) << owners << " owners";
    EXPECT_LE(imbalance(routing, owners, frequent), 1.1) << owners << " owners";
  }
}

TEST(RowRouting, differs_between_tables_of_one_size) {
  std::int64_t same = 0;
  for (std::int64_t id = 0; id < 10000; ++id) {
    same +=
        position_of(make_row_routing(10000, 0), id) == position_of(make_row_routing(10000, 1), id)
            ? 1
            : 0;
  }
  EXPECT_LE(same, 10);  // 1 is expected of two random permutations
}

TEST(RowRouting, splits_each_owner_when_their_number_doubles) {
  const row_routing routing = make_row_routing(100000, 2);
  for (std::int64_t id = 0; id < 100000; ++id) {
    ASSERT_EQ(place_of(routing, 4, id).owner / 2, place_of(routing, 2, id).owner);
  }
}

}  // namespace
}  // namespace warpbag::numerics
