// SPDX-License-Identifier: Apache-2.0
// Initialisation and stochastic rounding depend on (seed, table, row, column, step) and on nothing
// else: every backend must give the numbers of the formulas in src/numerics.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "numerics/float_formats.hpp"
#include "numerics/initialisation.hpp"
#include "support/configuration.hpp"
#include "support/device_array.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using numerics::init_kind;
using numerics::random_use;
using numerics::random_word;
using operations::table_record;

class RandomNumbers : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

support::configuration table_of(dtype type, std::int64_t rows, std::int32_t dim) {
  support::configuration c;
  c.seed = 77;
  support::table_configuration table;
  table.num_rows = rows;
  table.dim = dim;
  table.row_type = type;
  table.row_gap = 3;
  c.tables = {table};
  return c;
}

TEST_P(RandomNumbers, first_values_are_keyed_by_seed_table_row_and_column) {
  for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16}) {
    for (const init_kind kind : {init_kind::zero, init_kind::uniform, init_kind::normal}) {
      support::problem_data data = support::make_tables(table_of(type, 41, 33));
      table_record& options = data.tables[0].record;
      options.padding_idx = 7;
      options.rng_table = 5;
      support::problem_data expected = data;
      for (std::int64_t row = 0; row < options.num_rows; ++row) {
        for (std::int32_t column = 0; column < options.dim; ++column) {
          const std::uint32_t word =
              random_word(options.seed, random_use::initialisation, 5,
                          static_cast<std::uint64_t>(row), static_cast<std::uint32_t>(column), 0);
          expected.tables[0].rows.set(row * options.row_stride + column,
                                      row == 7 ? 0.0F : numerics::initial_value(kind, 0.2F, word));
        }
      }
      support::placed_problem placed(data, *device_);
      backend_->reserve(support::limits_of(placed.get()));
      backend_->initialize_rows(placed.get().tables[0], kind, 0.2F);
      placed.fetch();
      ASSERT_EQ(support::difference(expected, data), "") << to_string(type);
    }
  }
}

TEST_P(RandomNumbers, fill_writes_every_element_and_no_more) {
  support::problem_data data = support::make_tables(table_of(dtype::f32, 101, 7));
  support::problem_data expected = data;
  const std::int64_t count = 100 * 10 + 1;
  for (std::int64_t i = 0; i < count; ++i) expected.tables[0].rows.set(i, 2.5F);
  support::placed_problem placed(data, *device_);
  backend_->reserve(support::limits_of(placed.get()));
  backend_->fill(static_cast<float*>(placed.get().tables[0].rows), count, 2.5F);
  placed.fetch();
  EXPECT_EQ(support::difference(expected, data), "");
}

/// Plain SGD on rows of ones with a gradient that asks for a step of `part` of a last place.
struct rounding_case {
  dtype type;
  double last_place;  // at 1
};

TEST_P(RandomNumbers, stochastic_rounding_is_unbiased_and_keyed_by_the_step) {
  const std::int64_t rows = 500;
  const std::int32_t dim = 16;
  const double part = 0.3125;
  for (const rounding_case& which :
       {rounding_case{dtype::f16, 0x1p-10}, rounding_case{dtype::bf16, 0x1p-7}}) {
    support::configuration c = table_of(which.type, rows, dim);
    c.tables[0].optimizer.stochastic_rounding = true;
    c.tables[0].optimizer.learning_rate = 1.0F;
    support::feature_configuration feature;
    feature.num_bags = feature.batch = feature.num_lookups = rows;
    c.features = {feature};
    support::problem_data data = support::make_tables(c);
    support::draw_batch(c, 0, data);
    const auto gradient = static_cast<float>(-part * which.last_place);
    support::table_data& table = data.tables[0];
    for (std::int64_t row = 0; row < rows; ++row) {
      data.features[0].ids.set(row, row);
      for (std::int64_t column = 0; column < dim; ++column) {
        table.rows.set(row * table.record.row_stride + column, 1.0F);
        data.features[0].gradient.set(row * dim + column, gradient);
      }
    }
    support::placed_problem placed(data, *device_);
    support::run_step(*backend_, placed.get());
    placed.fetch();
    std::int64_t ups = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < dim; ++column) {
        const std::uint32_t word =
            random_word(table.record.seed, random_use::rounding, table.record.rng_table,
                        static_cast<std::uint64_t>(row), static_cast<std::uint32_t>(column), 1);
        const float expected =
            which.type == dtype::f16
                ? numerics::widen(numerics::narrow_stochastic<numerics::f16>(1.0F - gradient, word))
                : numerics::widen(
                      numerics::narrow_stochastic<numerics::bf16>(1.0F - gradient, word));
        const float actual = table.rows.number(row * table.record.row_stride + column);
        ASSERT_EQ(actual, expected) << "row " << row << ", column " << column;
        ups += actual > 1.0F ? 1 : 0;
      }
    }
    const double draws = static_cast<double>(rows * dim);
    EXPECT_NEAR(static_cast<double>(ups) / draws, part,
                5.0 * std::sqrt(part * (1.0 - part) / draws));
  }
}

/// A part of a table's rows and columns.
struct table_part {
  std::string name;
  std::vector<std::int64_t> ids;  // of its rows in the whole table
  std::int32_t first_column;
  std::int32_t dim;
  operations::shard_record shard;
};

/// All rows of one of `num_owners` owners.
table_part routed_part(std::int64_t num_rows, std::int32_t num_owners, std::int32_t owner,
                       std::int32_t first_column, std::int32_t dim) {
  table_part part = {"owner " + std::to_string(owner), {}, first_column, dim, {}};
  part.shard.numbering = operations::row_numbering::routed;
  part.shard.num_owners = num_owners;
  part.shard.owner = owner;
  part.shard.first_column = first_column;
  part.shard.routing = numerics::make_row_routing(num_rows, 1);
  const std::int64_t rows = numerics::rows_of_owner(part.shard.routing, num_owners, owner);
  for (std::int64_t row = 0; row < rows; ++row) {
    part.ids.push_back(numerics::id_of(part.shard.routing, num_owners, {owner, row}));
  }
  return part;
}

/// A part after initialisation and a step with stochastic rounding; the row of an id
/// has the gradient id / 1024 + column.
support::problem_data trained_part(const support::configuration& c, const table_part& part,
                                   support::test_device& device, operations::backend& backend) {
  const support::device_array<std::int64_t> ids(device, part.ids);
  support::configuration small = c;
  small.tables[0].num_rows = std::ssize(part.ids);
  small.tables[0].dim = part.dim;
  support::feature_configuration feature;
  feature.num_bags = feature.batch = feature.num_lookups = std::ssize(part.ids);
  small.features = {feature};
  support::problem_data data = support::make_tables(small);
  support::draw_batch(small, 0, data);
  table_record& record = data.tables[0].record;
  record.shard = part.shard;
  if (part.shard.numbering == operations::row_numbering::listed) record.shard.ids = ids.data();
  const auto padding = std::find(part.ids.begin(), part.ids.end(), 7);
  if (padding != part.ids.end()) record.padding_idx = padding - part.ids.begin();
  for (std::int64_t row = 0; row < record.num_rows; ++row) {
    data.features[0].ids.set(row, row);
    for (std::int32_t column = 0; column < part.dim; ++column) {
      const std::int64_t id = part.ids[static_cast<std::size_t>(row)];
      data.features[0].gradient.set(
          row * part.dim + column,
          static_cast<float>(id) / 1024.0F + static_cast<float>(part.first_column + column));
    }
  }
  support::placed_problem placed(data, device);
  backend.reserve(support::limits_of(placed.get()));
  backend.initialize_rows(placed.get().tables[0], init_kind::normal, 0.7F);
  support::run_step(backend, placed.get());
  placed.fetch();
  return data;
}

TEST_P(RandomNumbers, of_a_part_of_a_table_are_those_of_the_whole) {
  const std::int64_t num_rows = 203;
  const std::int32_t dim = 44;
  for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16}) {
    support::configuration c = table_of(type, num_rows, dim);
    c.tables[0].optimizer.stochastic_rounding = type != dtype::f32;
    c.tables[0].optimizer.learning_rate = 0.001F;
    table_part whole = {"whole", {}, 0, dim, {}};
    table_part listed = {"listed", {}, 8, 21, {}};
    for (std::int64_t id = 0; id < num_rows; ++id) whole.ids.push_back(id);
    for (std::int64_t id = 1; id < num_rows; id += 3) listed.ids.push_back(id);
    listed.shard.numbering = operations::row_numbering::listed;
    listed.shard.first_column = listed.first_column;
    const support::problem_data expected = trained_part(c, whole, *device_, *backend_);
    for (const table_part& part :
         {routed_part(num_rows, 2, 0, 0, 20), routed_part(num_rows, 2, 1, 0, 20),
          routed_part(num_rows, 2, 0, 20, 24), routed_part(num_rows, 2, 1, 20, 24), listed}) {
      const support::problem_data data = trained_part(c, part, *device_, *backend_);
      const std::int64_t stride = data.tables[0].record.row_stride;
      for (std::size_t row = 0; row < part.ids.size(); ++row) {
        for (std::int32_t column = 0; column < part.dim; ++column) {
          ASSERT_EQ(
              data.tables[0].rows.number(static_cast<std::int64_t>(row) * stride + column),
              expected.tables[0].rows.number(part.ids[row] * expected.tables[0].record.row_stride +
                                             part.first_column + column))
              << to_string(type) << ", " << part.name << ", row " << row << ", column " << column;
        }
      }
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(RandomNumbers);

}  // namespace
}  // namespace warpbag
