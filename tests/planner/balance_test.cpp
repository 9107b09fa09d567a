// SPDX-License-Identifier: Apache-2.0
// Requests spread evenly over the owners of a table's rows, however skewed and however numbered its
// ids are: each rank asks once for each distinct row, and rows live with owners by hash.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "data/power_law.hpp"
#include "numerics/row_routing.hpp"
#include "planner/case_size.hpp"
#include "support/random_source.hpp"

namespace warpbag::sharding {
namespace {

constexpr std::int64_t num_ids = 1'000'000;
constexpr std::int64_t batch = 8192;  // bags of a rank

struct balance_case {
  int ranks = 0;
  std::int64_t hotness = 0;
  std::uint32_t tables = 1;  // of equal sizes and frequencies
};

void PrintTo(const balance_case& drawn, std::ostream* stream) {
  *stream << drawn.ranks << " ranks, hotness " << drawn.hotness << ", " << drawn.tables
          << " tables";
}

/// How many ranks ask for each of the ids, 0 being the most frequent one.
std::vector<std::int64_t> requests_of_ids(const balance_case& drawn) {
  const data::power_law law(num_ids, 1.2);
  support::random_source random(77);
  std::vector<std::int64_t> requests(num_ids);
  std::vector<int> asked_by(num_ids, -1);
  for (int rank = 0; rank < drawn.ranks; ++rank) {
    for (std::int64_t lookup = 0; lookup < batch * drawn.hotness; ++lookup) {
      const auto id = static_cast<std::size_t>(law(random.unit()));
      if (asked_by[id] != rank) ++requests[id];
      asked_by[id] = rank;
    }
  }
  return requests;
}

/// Most requests of an owner over the mean, when id k is called k * factor.
double imbalance(const std::vector<std::int64_t>& requests, const balance_case& drawn,
                 std::int64_t factor) {
  const int ranks = drawn.ranks;
  std::vector<std::int64_t> of_owner(static_cast<std::size_t>(ranks));
  for (std::uint32_t table = 0; table < drawn.tables; ++table) {
    const numerics::row_routing routing = numerics::make_row_routing(num_ids * factor, table);
    for (std::size_t k = 0; k < requests.size(); ++k) {
      if (requests[k] == 0) continue;
      const auto id = static_cast<std::int64_t>(k) * factor;
      const numerics::row_place place = numerics::place_of(routing, ranks, id);
      of_owner[static_cast<std::size_t>(place.owner)] += requests[k];
    }
  }
  const auto total = std::accumulate(of_owner.begin(), of_owner.end(), std::int64_t{0});
  const auto most = *std::max_element(of_owner.begin(), of_owner.end());
  return static_cast<double>(most * ranks) / static_cast<double>(total);
}

class Balance : public ::testing::TestWithParam<balance_case> {};

TEST_P(Balance, of_requests_is_within_a_tenth) {
  const balance_case& drawn = GetParam();
  const std::vector<std::int64_t> requests = requests_of_ids(drawn);
  const double sorted = imbalance(requests, drawn, 1);
  const double multiples = imbalance(requests, drawn, drawn.ranks);
  RecordProperty("ids sorted by frequency", std::to_string(sorted));
  RecordProperty("multiples of the number of ranks", std::to_string(multiples));
  EXPECT_LE(sorted, 1.1);
  EXPECT_LE(multiples, 1.1);
}

// One lookup a bag is the hard case: 64 ranks ask for the few hundred hottest rows all together,
// and an owner has 5 of these, or 2, or 9. With a single table that is 1.2 to 1.4 times the mean;
// over the tables of a model it evens out, here as many as Criteo has.
constexpr balance_case cases[] = {{8, 1, 1}, {8, 20, 1}, {64, 20, 1}, {64, 1, 26}};
INSTANTIATE_TEST_SUITE_P(workloads, Balance,
                         ::testing::ValuesIn(cases, cases + support::full_or_small(4, 1)));

}  // namespace
}  // namespace warpbag::sharding
