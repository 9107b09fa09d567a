// SPDX-License-Identifier: Apache-2.0
// Malformed batches x policies x backends: the exact type of the exception, what it names, and that
// nothing was written.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::input_fault;

#ifdef WARPBAG_TEST_CUDA
constexpr bool few_values = true;  // fewer values: a simulator runs them
#else
constexpr bool few_values = false;
#endif

/// One number of the batch that is changed.
struct edit {
  std::size_t feature;
  bool is_offset;
  std::int64_t index;
  std::int64_t value;
};

struct malformed_batch {
  std::string name;
  std::vector<edit> edits;
  edit strict;                  // what policy error reports
  std::optional<edit> lenient;  // what skip and zero report; nothing: the batch is good
  std::int64_t bad_ids = 0;     // what they count then
};

constexpr std::int64_t num_rows[] = {50, 20};
constexpr std::int32_t table_of[] = {0, 1, 0};
constexpr std::int64_t num_bags[] = {70, 65, 66};
constexpr std::int64_t ids_per_bag[] = {2, 3, 2};
constexpr std::int64_t lookups_of(std::size_t feature) {
  return num_bags[feature] * ids_per_bag[feature];
}

/// Feature 0: offsets. Feature 1: fixed hotness. Feature 2: offsets with the last, and unused ids.
support::configuration configuration_of(index_type ids_type, bad_id_policy policy) {
  support::configuration c;
  c.seed = 3;
  c.ids_type = ids_type;
  c.policy = policy;
  for (const std::int64_t rows : num_rows) {
    support::table_configuration table;
    table.num_rows = rows;
    table.dim = rows == 50 ? 4 : 3;
    table.optimizer.kind = optimizer_kind::adam;
    table.renormalize = rows == 20;
    table.max_norm = 0.5F;
    c.tables.push_back(table);
  }
  for (std::size_t f = 0; f < 3; ++f) {
    support::feature_configuration feature;
    feature.table = table_of[f];
    feature.mode = f == 0 ? pooling_mode::mean : f == 1 ? pooling_mode::sum : pooling_mode::max;
    feature.layout = f == 0   ? support::bag_layout::offsets
                     : f == 1 ? support::bag_layout::fixed
                              : support::bag_layout::offsets_with_last;
    feature.weighted = feature.wants_weight_gradient = f != 2;
    feature.num_bags = feature.batch = num_bags[f];
    feature.num_lookups = lookups_of(f);
    feature.unused_ids = f == 2 ? 5 : 0;
    c.features.push_back(feature);
  }
  return c;
}

/// A good batch whose bags all hold ids_per_bag ids.
support::problem_data good_batch(const support::configuration& c) {
  support::problem_data data = support::make_tables(c);
  support::draw_batch(c, 0, data);
  for (std::size_t f = 0; f < 3; ++f) {
    support::feature_data& feature = data.features[f];
    feature.record.num_ids = lookups_of(f) + c.features[f].unused_ids;
    feature.ids = support::buffer(support::kind_of(c.ids_type), feature.record.num_ids, 1);
    for (std::int64_t i = 0; i < feature.record.num_ids; ++i) {
      feature.ids.set(i, i < lookups_of(f) ? i * 7 % num_rows[table_of[f]] : std::int64_t{-9});
    }
    if (c.features[f].weighted) {
      feature.weights = support::buffer(support::element_kind::f32, feature.record.num_ids, 1);
      feature.weight_gradient = feature.weights;
      for (std::int64_t i = 0; i < feature.record.num_ids; ++i) feature.weights.set(i, 0.5F);
    }
    if (!feature.offsets.present) continue;
    const std::int64_t size = num_bags[f] + (f == 2 ? 1 : 0);
    for (std::int64_t i = 0; i < size; ++i) feature.offsets.set(i, i * ids_per_bag[f]);
  }
  return data;
}

void add_bad_ids(index_type ids_type, std::vector<malformed_batch>& batches) {
  for (std::size_t f = 0; f < 3; ++f) {
    const std::int64_t rows = num_rows[table_of[f]];
    std::vector<std::int64_t> values = {-1, rows};
    if (ids_type == index_type::i64) values.push_back((std::int64_t{1} << 32) + 1);
    if (!few_values) {
      values.push_back(std::numeric_limits<std::int32_t>::max());
      values.push_back(std::numeric_limits<std::int32_t>::min());
    }
    if (!few_values && ids_type == index_type::i64) {
      values.push_back(std::int64_t{1} << 40);
      values.push_back(std::numeric_limits<std::int64_t>::min());
    }
    for (const std::int64_t value : values) {
      for (const std::int64_t index : {std::int64_t{0}, lookups_of(f) / 2, lookups_of(f) - 1}) {
        const edit change{f, false, index, value};
        batches.push_back({"id", {change}, change, std::nullopt, 1});
      }
    }
  }
}

void add_bad_offsets(index_type ids_type, std::vector<malformed_batch>& batches) {
  for (const std::size_t f : {std::size_t{0}, std::size_t{2}}) {
    const std::int64_t last = num_bags[f] - (f == 2 ? 0 : 1);
    const std::int64_t ids = lookups_of(f) + (f == 2 ? 5 : 0);
    std::vector<edit> edits = {{f, true, 0, 1},
                               {f, true, 0, -1},
                               {f, true, 33, 63},
                               {f, true, 64, 0},
                               {f, true, 12, ids + 1},
                               {f, true, last, ids + 1},
                               {f, true, last, -2},
                               {f, true, last, std::numeric_limits<std::int32_t>::max()},
                               {f, true, last, std::numeric_limits<std::int32_t>::min()}};
    if (ids_type == index_type::i64) {
      edits.push_back({f, true, last, std::int64_t{1} << 32});
      edits.push_back({f, true, 20, std::numeric_limits<std::int64_t>::max()});
    }
    for (const edit& change : edits) batches.push_back({"offset", {change}, change, change});
  }
}

/// The first offender is named: features in order, offsets before ids, by index.
void add_double_faults(std::vector<malformed_batch>& batches) {
  const edit id0{0, false, 9, -1};
  const edit later_id0{0, false, 130, 50};
  const edit id1{1, false, 0, 20};
  const edit offset0{0, true, 60, 0};
  const edit later_offset0{0, true, 69, 141};
  const edit offset2{2, true, 1, -1};
  batches.push_back({"two ids", {later_id0, id0}, id0, std::nullopt, 2});
  batches.push_back({"ids of two features", {id1, later_id0}, later_id0, std::nullopt, 2});
  batches.push_back({"two offsets", {later_offset0, offset0}, offset0, offset0});
  batches.push_back({"offset before id", {id0, offset0}, offset0, offset0});
  batches.push_back({"id of an earlier feature", {offset2, id1}, id1, offset2});
  batches.push_back({"offsets of two features", {offset2, offset0}, offset0, offset0});
}

std::vector<malformed_batch> malformed_batches(index_type ids_type) {
  std::vector<malformed_batch> batches;
  add_bad_ids(ids_type, batches);
  add_bad_offsets(ids_type, batches);
  add_double_faults(batches);
  return batches;
}

void apply(const malformed_batch& batch, support::problem_data& data) {
  for (const edit& change : batch.edits) {
    support::feature_data& feature = data.features[change.feature];
    (change.is_offset ? feature.offsets : feature.ids).set(change.index, change.value);
  }
}

/// Runs a step; a device that cannot throw is asked, and then runs the rest of the step too, which
/// must do nothing.
void run_and_throw(operations::backend& backend, const operations::problem& problem) {
  support::run_step(backend, problem);
  const operations::input_status status = backend.status();
  if (status.first_fault == input_fault::none) return;
  const auto& feature = problem.features[static_cast<std::size_t>(status.where.feature)];
  const std::int64_t limit = status.first_fault == input_fault::id
                                 ? problem.tables[static_cast<std::size_t>(feature.table)].num_rows
                                 : feature.num_ids;
  operations::throw_bad_batch(status.first_fault, status.where, limit);
}

void expect_location(const bad_batch& error, const edit& expected) {
  const lookup_location& where = error.where();
  const std::size_t f = expected.feature;
  EXPECT_EQ(where.feature, static_cast<std::int32_t>(f));
  EXPECT_EQ(where.table, table_of[f]);
  EXPECT_EQ(where.bag, expected.is_offset ? expected.index : expected.index / ids_per_bag[f]);
  EXPECT_EQ(where.position, expected.is_offset ? -1 : expected.index);
  EXPECT_EQ(where.value, expected.value);
  const std::string text = error.what();
  EXPECT_THAT(text, ::testing::HasSubstr("feature " + std::to_string(f)));
  EXPECT_THAT(text, ::testing::HasSubstr("table " + std::to_string(table_of[f])));
  EXPECT_THAT(text, ::testing::HasSubstr(std::to_string(where.bag)));
  EXPECT_THAT(text, ::testing::HasSubstr(std::to_string(expected.value)));
  if (expected.is_offset) return;
  EXPECT_THAT(text, ::testing::HasSubstr("bag " + std::to_string(where.bag)));
  EXPECT_THAT(text, ::testing::HasSubstr("position " + std::to_string(expected.index)));
}

/// Exactly the type, not one derived from it.
template <typename Call>
void expect_thrown(Call call, const edit& expected) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const id_out_of_range& error) {
    EXPECT_FALSE(expected.is_offset) << error.what();
    expect_location(error, expected);
  } catch (const bad_offsets& error) {
    EXPECT_TRUE(expected.is_offset) << error.what();
    expect_location(error, expected);
  }
}

class BadInput : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override { device_ = GetParam().make_device(); }

  void run(operations::backend& backend, const malformed_batch& batch, index_type ids_type,
           bad_id_policy policy) {
    support::problem_data data = good_batch(configuration_of(ids_type, policy));
    apply(batch, data);
    support::problem_data before = data;
    const std::optional<edit> expected =
        policy == bad_id_policy::error ? std::optional<edit>(batch.strict) : batch.lenient;
    support::placed_problem placed(data, *device_);
    backend.clear_status();
    if (!expected) {
      EXPECT_NO_THROW(run_and_throw(backend, placed.get()));
      EXPECT_EQ(backend.status().bad_ids, batch.bad_ids);
      return;
    }
    expect_thrown([&] { run_and_throw(backend, placed.get()); }, *expected);
    placed.fetch();
    EXPECT_EQ(support::difference(before, data), "") << "a bad batch wrote something";
  }

  std::unique_ptr<support::test_device> device_;
};

TEST_P(BadInput, every_malformed_batch_is_named_and_changes_nothing) {
  for (const index_type ids_type : {index_type::i32, index_type::i64}) {
    const std::vector<malformed_batch> batches = malformed_batches(ids_type);
    ASSERT_GE(batches.size(), 40U);
    const auto backend = device_->make_backend();
    for (const bad_id_policy policy :
         {bad_id_policy::error, bad_id_policy::skip, bad_id_policy::zero}) {
      for (const malformed_batch& batch : batches) {
        SCOPED_TRACE(batch.name + " of feature " + std::to_string(batch.strict.feature) + " [" +
                     std::to_string(batch.strict.index) +
                     "] = " + std::to_string(batch.strict.value) + ", policy " +
                     std::string(to_string(policy)) + ", " + std::string(to_string(ids_type)));
        run(*backend, batch, ids_type, policy);
      }
    }
  }
}

TEST_P(BadInput, a_good_batch_after_a_bad_one_trains_as_if_it_had_not_been) {
  const support::configuration c = configuration_of(index_type::i64, bad_id_policy::error);
  support::problem_data expected = good_batch(c);
  support::problem_data actual = expected;
  support::problem_data bad = expected;
  apply({"id", {{0, false, 9, -1}}, {}, {}}, bad);
  {
    const auto backend = device_->make_backend();
    support::placed_problem placed(expected, *device_);
    EXPECT_NO_THROW(run_and_throw(*backend, placed.get()));
    placed.fetch();
  }
  const auto backend = device_->make_backend();
  {
    support::placed_problem placed(bad, *device_);
    EXPECT_THROW(run_and_throw(*backend, placed.get()), id_out_of_range);
  }
  backend->clear_status();
  support::placed_problem placed(actual, *device_);
  EXPECT_NO_THROW(run_and_throw(*backend, placed.get()));
  placed.fetch();
  EXPECT_EQ(support::difference(expected, actual), "");
}

WARPBAG_FOR_EVERY_BACKEND(BadInput);

}  // namespace
}  // namespace warpbag
