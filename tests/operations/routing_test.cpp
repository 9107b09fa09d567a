// SPDX-License-Identifier: Apache-2.0
// The operations between ranks against their definitions, on random batches: several tables, shared
// tables, padding, bad ids, empty features, odd layouts. WARPBAG_TEST_SEED=n replays one.

#include <gtest/gtest.h>

#include <algorithm>

#include "reference/lookups.hpp"
#include "reference/reference.hpp"
#include "support/configuration.hpp"
#include "support/device_array.hpp"
#include "support/routed_problem.hpp"

namespace warpbag {
namespace {

#ifdef WARPBAG_TEST_CUDA
constexpr support::drawing_limits limits{300, 2000};
constexpr std::int64_t num_configurations = 60;
#else
constexpr support::drawing_limits limits{4000, 40000};
constexpr std::int64_t num_configurations = 200;
#endif
constexpr std::uint64_t first_seed = 20261000;

std::vector<support::table_route> random_routes(support::random_source& random,
                                                const support::problem_data& data) {
  std::vector<support::table_route> routes;
  for (const support::table_data& table : data.tables) {
    const std::int64_t num_rows = table.record.num_rows;
    support::table_route route;
    route.record.routing = numerics::make_row_routing(num_rows, table.record.rng_table);
    route.record.num_owners = random.pick<std::int32_t>({0, 1, 2, 7, 64});
    const double share = random.pick({0.0, 0.0, 0.01, 0.5, 1.0});
    for (std::int64_t id = 0; id < num_rows && share > 0.0; ++id) {
      if (random.chance(share)) route.replicated.push_back(id);
    }
    routes.push_back(route);
  }
  return routes;
}

/// Any subtrees at all, some slices in none.
support::subtrees random_subtrees(support::random_source& random) {
  if (random.chance(0.3)) return support::subtrees_of(0, 64);
  const auto first = static_cast<std::int32_t>(random.below(64));
  const auto last = first + static_cast<std::int32_t>(random.below(65 - first));
  return support::subtrees_of(first, last);
}

/// The ids of a feature that belong to a bag.
std::vector<std::int64_t> covered(const operations::problem& problem, std::size_t f,
                                  std::vector<std::int64_t> ids) {
  const operations::feature_record& feature = problem.features[f];
  const std::int64_t end =
      feature.num_bags == 0 ? 0 : reference::range_of(problem, feature, feature.num_bags - 1).end;
  ids.resize(static_cast<std::size_t>(end));
  return ids;
}

class Routing : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  void expect_route(support::problem_data& data, const std::vector<support::table_route>& routes,
                    const support::routed_batch& routed) {
    const support::bound_problem bound = support::bind(data);
    std::vector<operations::route_record> records;
    for (const support::table_route& route : routes) {
      records.push_back(route.record);
      records.back().replicated = route.replicated.data();
      records.back().num_replicated = std::ssize(route.replicated);
    }
    const reference::routing expected = reference::route(bound.problem, records);
    EXPECT_EQ(routed.counts, expected.counts);
    EXPECT_EQ(routed.rows, expected.rows);
    for (std::size_t f = 0; f < data.features.size(); ++f) {
      EXPECT_EQ(covered(bound.problem, f, routed.compact_ids[f]),
                covered(bound.problem, f, expected.compact_ids[f]))
          << "feature " << f;
    }
  }

  void expect_split(support::problem_data& compact, const std::vector<support::subtrees>& cuts,
                    const std::vector<std::vector<std::int64_t>>& split_ids) {
    const support::bound_problem bound = support::bind(compact);
    for (std::size_t f = 0; f < compact.features.size(); ++f) {
      const auto table = static_cast<std::size_t>(compact.features[f].record.table);
      const std::vector<std::int64_t> expected = reference::split_by_subtree(
          bound.problem, static_cast<std::int32_t>(f),
          support::subtree_record_of(cuts[f], compact.tables[table].record.num_rows - 1));
      EXPECT_EQ(covered(bound.problem, f, split_ids[f]), covered(bound.problem, f, expected))
          << "feature " << f;
    }
  }

  void expect_packed(support::problem_data& pairs, const support::problem_data& data,
                     const std::vector<support::table_route>& routes,
                     const support::routed_batch& routed,
                     const std::vector<support::subtrees>& cuts,
                     const std::vector<support::feature_partials>& partials) {
    const support::bound_problem bound = support::bind(pairs);
    for (std::size_t f = 0; f < pairs.features.size(); ++f) {
      const auto table = static_cast<std::size_t>(data.features[f].record.table);
      std::int64_t first_row = 0;
      std::int64_t first_count = 0;
      for (std::size_t t = 0; t < table; ++t) {
        first_row += routed.num_routed[t];
        first_count += routes[t].record.num_destinations();
      }
      operations::packed_record record;
      std::copy(cuts[f].first_slice.begin(), cuts[f].first_slice.end(), record.first_slice);
      record.num_subtrees = std::max(1, static_cast<std::int32_t>(cuts[f].first_slice.size()));
      record.num_destinations = routes[table].record.num_destinations();
      record.rows = routed.rows.data() + first_row;
      record.counts = routed.counts.data() + first_count;
      const reference::packed_partials expected =
          reference::pack_partials(bound.problem, static_cast<std::int32_t>(f), record);
      EXPECT_EQ(partials[f].packed, expected.packed) << "feature " << f;
      EXPECT_EQ(partials[f].occurrences, expected.occurrences) << "feature " << f;
      EXPECT_EQ(partials[f].sums, expected.sums) << "feature " << f;
    }
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

TEST_P(Routing, route_split_and_pack_equal_their_definitions_on_random_batches) {
  for (const std::uint64_t seed : support::seeds_of_test(first_seed, num_configurations)) {
    const support::configuration configuration = support::random_configuration(seed, limits);
    SCOPED_TRACE(::testing::PrintToString(configuration));
    support::random_source random(seed ^ 0x40071E5ULL);
    support::problem_data data = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data);
    const std::vector<support::table_route> routes = random_routes(random, data);

    const support::routed_batch routed = support::route_batch(*backend_, *device_, data, routes);
    expect_route(data, routes, routed);

    support::problem_data compact = support::compact_problem(data, routed);
    std::vector<support::subtrees> cuts;
    for (std::size_t f = 0; f < data.features.size(); ++f) cuts.push_back(random_subtrees(random));
    const auto split_ids = support::split_batch(*backend_, *device_, compact, cuts);
    expect_split(compact, cuts, split_ids);

    support::problem_data pairs = support::pair_problem(compact, cuts, split_ids);
    const auto partials =
        support::pack_batch(*backend_, *device_, pairs, data, routes, routed, cuts);
    expect_packed(pairs, data, routes, routed, cuts, partials);
    if (HasFailure()) return;
  }
}

/// A CPU throws at once; a GPU leaves all that the operations of the step would write as it was.
TEST_P(Routing, a_bad_batch_writes_nothing) {
  support::configuration configuration;
  configuration.seed = 8;
  support::table_configuration table;
  table.num_rows = 40;
  table.dim = 4;
  configuration.tables = {table};
  support::feature_configuration feature;
  feature.num_bags = feature.batch = feature.num_lookups = 50;
  configuration.features = {feature};
  support::problem_data data = support::make_tables(configuration);
  support::draw_batch(configuration, 0, data);
  data.features[0].ids.set(31, std::int64_t{40});
  const std::vector<std::int64_t> pattern(64, -7);
  support::device_array<std::int64_t> written(*device_, pattern);
  support::device_array<operations::partial_record> partials(
      *device_, std::vector<operations::partial_record>(64, {-7, 7}));
  const support::device_array<std::int64_t> zeros(*device_, std::vector<std::int64_t>(64, 0));
  support::placed_problem placed(data, *device_);
  support::problem_data before = data;
  operations::problem_limits limits_of_batch = support::limits_of(placed.get());
  limits_of_batch.routed = true;
  backend_->reserve(limits_of_batch);
  try {
    backend_->check_inputs(placed.get());
  } catch (const id_out_of_range&) {
    return;
  }
  backend_->deduplicate(placed.get());
  const operations::route_record route;
  void* const compact_ids[] = {written.data()};
  backend_->route(placed.get(), {&route, 1}, {written.data(), written.data(), compact_ids});
  operations::subtree_record split;
  split.num_subtrees = 1;
  split.ids = written.data();
  backend_->split_by_subtree(placed.get(), {&split, 1});
  backend_->reduce_gradients(placed.get());
  operations::packed_record packed;
  packed.num_subtrees = packed.num_destinations = 1;
  packed.rows = packed.counts = zeros.data();
  packed.packed = packed.sums = written.data();
  backend_->pack_partials(placed.get(), {&packed, 1});
  backend_->unpack_partials(64, zeros.data(), nullptr, written.data(), partials.data());
  backend_->write_rows(placed.get().tables[0], zeros.data(), 1, zeros.data());
  EXPECT_EQ(written.values(), pattern);
  EXPECT_EQ(partials.values()[5].slice, -7);
  placed.fetch();
  EXPECT_EQ(support::difference(before, data), "");
}

TEST_P(Routing, unpack_takes_apart_what_pack_put_together) {
  for (const std::int64_t count : {0, 1, 63, 5000}) {
    support::random_source random(static_cast<std::uint64_t>(count) + 3);
    std::vector<std::int64_t> packed;
    std::vector<std::int64_t> expected_rows;
    std::vector<std::int32_t> expected_slices;
    std::vector<std::uint32_t> occurrences;
    for (std::int64_t i = 0; i < count; ++i) {
      expected_rows.push_back(random.below(numerics::max_routed_rows));
      expected_slices.push_back(static_cast<std::int32_t>(random.below(64)));
      packed.push_back(expected_rows.back() * 64 + expected_slices.back());
      occurrences.push_back(static_cast<std::uint32_t>(random.word()));
    }
    const support::device_array<std::int64_t> packed_there(*device_, packed);
    const support::device_array<std::uint32_t> occurrences_there(*device_, occurrences);
    backend_->reserve({});
    for (const bool counted : {false, true}) {
      support::device_array<std::int64_t> rows(*device_, std::vector<std::int64_t>(packed.size()));
      support::device_array<operations::partial_record> partials(
          *device_, std::vector<operations::partial_record>(packed.size()));
      backend_->unpack_partials(count, packed_there.data(),
                                counted ? occurrences_there.data() : nullptr, rows.data(),
                                partials.data());
      EXPECT_EQ(rows.values(), expected_rows);
      const std::vector<operations::partial_record>& unpacked = partials.values();
      for (std::size_t i = 0; i < unpacked.size(); ++i) {
        ASSERT_EQ(unpacked[i].slice, expected_slices[i]);
        ASSERT_EQ(unpacked[i].occurrences, counted ? occurrences[i] : 1U);
      }
    }
  }
}

TEST_P(Routing, write_rows_writes_these_rows_and_nothing_else) {
  for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16}) {
    for (const std::int32_t dim : {1, 3, 8, 33, 128, 130}) {
      support::configuration configuration;
      configuration.seed = 5;
      support::table_configuration options;
      options.num_rows = 700;
      options.dim = dim;
      options.row_type = type;
      options.row_gap = dim % 3;
      options.row_lead = dim == 130 ? 1 : 0;
      configuration.tables = {options};
      support::problem_data data = support::make_tables(configuration);
      support::problem_data expected = data;
      support::table_data& table = data.tables[0];
      std::vector<std::int64_t> rows;
      for (std::int64_t row = 1; row < options.num_rows; row += 2) rows.push_back(row);
      std::reverse(rows.begin(), rows.end());
      const std::size_t element_bytes = support::size_of(support::kind_of(type));
      const std::size_t row_bytes = static_cast<std::size_t>(dim) * element_bytes;
      std::vector<std::byte> values(rows.size() * row_bytes);
      support::random_source random(99);
      for (std::byte& value : values) value = static_cast<std::byte>(random.below(256));
      for (std::size_t k = 0; k < rows.size(); ++k) {
        std::byte* const row =
            expected.tables[0].rows.data() +
            static_cast<std::size_t>(rows[k] * table.record.row_stride) * element_bytes;
        std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(k * row_bytes), row_bytes, row);
      }
      const support::device_array<std::int64_t> rows_there(*device_, rows);
      const support::device_array<std::byte> values_there(*device_, values);
      support::placed_problem placed(data, *device_);
      backend_->reserve(support::limits_of(placed.get()));
      backend_->write_rows(placed.get().tables[0], rows_there.data(), std::ssize(rows),
                           values_there.data());
      placed.fetch();
      ASSERT_EQ(table.rows.bytes, expected.tables[0].rows.bytes) << to_string(type) << " " << dim;
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(Routing);

}  // namespace
}  // namespace warpbag
