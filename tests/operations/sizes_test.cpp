// SPDX-License-Identifier: Apache-2.0
// The ends of every size: nothing at all, one bag of a million ids, one row for all of them, every
// shape of dim, and tables of more than 2^31 elements or rows.

#include <gtest/gtest.h>

#include "numerics/float_formats.hpp"
#include "reference/lookups.hpp"
#include "reference/reference.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::feature_record;
using operations::gradient_form;
using operations::table_record;

#ifdef WARPBAG_TEST_CUDA
constexpr std::int64_t many_ids = 20000;  // a simulator runs them
#else
constexpr std::int64_t many_ids = 1000000;
#endif

/// One table, one feature, verifiable numbers, and a dense gradient.
support::configuration one_bag_table(std::int64_t num_rows, std::int32_t dim, std::int64_t num_bags,
                                     std::int64_t num_lookups) {
  support::configuration c;
  c.seed = 41;
  c.values = support::value_choice::verifiable;
  support::table_configuration table;
  table.num_rows = num_rows;
  table.dim = dim;
  table.form = gradient_form::dense;
  c.tables = {table};
  support::feature_configuration feature;
  feature.layout = support::bag_layout::offsets;
  feature.num_bags = feature.batch = num_bags;
  feature.num_lookups = num_lookups;
  c.features = {feature};
  return c;
}

class Sizes : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  void step(support::problem_data& data) {
    support::placed_problem placed(data, *device_);
    support::run_step(*backend_, placed.get());
    placed.fetch();
  }

  /// All sums are exact, so outputs and dense gradients are the reference's own values.
  static void expect_exact(support::problem_data& data) {
    const support::bound_problem bound = support::bind(data);
    for (std::size_t f = 0; f < bound.features.size(); ++f) {
      const reference::pooled pooled = reference::pool(bound.problem, static_cast<std::int32_t>(f));
      for (std::size_t i = 0; i < pooled.values.size(); ++i) {
        ASSERT_EQ(static_cast<const float*>(bound.features[f].output)[i], pooled.values[i].value)
            << "feature " << f << ", output element " << i;
      }
    }
    const auto gradients = reference::reduce_gradients(bound.problem, 0);
    const table_record& table = bound.tables[0];
    for (std::int64_t row = 0; row < table.num_rows; ++row) {
      const auto found = gradients.find(row);
      for (std::int64_t column = 0; column < table.dim; ++column) {
        const double expected =
            found == gradients.end() ? 0.0 : found->second[static_cast<std::size_t>(column)].value;
        ASSERT_EQ(static_cast<const float*>(table.gradient.values)[row * table.dim + column],
                  expected)
            << "gradient of row " << row << ", column " << column;
      }
    }
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

TEST_P(Sizes, no_ids_and_no_bags_is_a_step_that_changes_no_row) {
  for (const std::int64_t num_bags : {0, 1, 65}) {
    for (const support::bag_layout layout :
         {support::bag_layout::fixed, support::bag_layout::offsets,
          support::bag_layout::offsets_with_last}) {
      for (const pooling_mode mode :
           {pooling_mode::sum, pooling_mode::mean, pooling_mode::max, pooling_mode::none}) {
        support::configuration c = one_bag_table(10, 5, num_bags, 0);
        c.tables[0].form = gradient_form::fused;
        c.tables[0].optimizer.kind = optimizer_kind::adam;
        c.features[0].mode = mode;
        c.features[0].layout = layout;
        support::problem_data data = support::make_tables(c);
        support::draw_batch(c, 0, data);
        const support::problem_data before = data;
        step(data);
        EXPECT_EQ(difference(before.tables[0].rows, data.tables[0].rows), "");
        EXPECT_EQ(difference(before.tables[0].state[0], data.tables[0].state[0]), "");
        if (mode == pooling_mode::none) continue;
        for (std::int64_t i = 0; i < num_bags * 5; ++i) {
          EXPECT_EQ(data.features[0].output.number(i), 0.0F);
          if (mode == pooling_mode::max) {
            EXPECT_EQ(data.features[0].max_positions.as<std::int32_t>()[i], -1);
          }
        }
      }
    }
  }
}

TEST_P(Sizes, every_dim_gives_exact_sums) {
  for (const std::int32_t dim : {1, 3, 31, 32, 33, 100, 128, 1024, 2052, 8192}) {
    SCOPED_TRACE(dim);
    for (const std::int64_t gap : {0, 1}) {  // rows aligned for vectors, and not
      support::configuration c = one_bag_table(7, dim, 3, 20);
      c.tables[0].row_gap = gap;
      support::problem_data data = support::make_tables(c);
      support::draw_batch(c, 0, data);
      step(data);
      expect_exact(data);
    }
  }
}

TEST_P(Sizes, one_bag_of_many_ids_is_summed_exactly) {
  support::configuration c = one_bag_table(1000, 3, 1, many_ids);
  c.features[0].layout = support::bag_layout::fixed;
  support::problem_data data = support::make_tables(c);
  support::draw_batch(c, 0, data);
  // Of 1/256 each, so that a million of them are exact: 2^20 / 256 < 2^24 / 256.
  for (std::int64_t i = 0; i < 3000; ++i) {
    data.tables[0].rows.set(i, (i % 3 == 0 ? -1.0F : 1.0F) / 256.0F);
  }
  for (std::int64_t i = 0; i < 3; ++i) data.features[0].gradient.set(i, 1.0F / 256.0F);
  step(data);
  expect_exact(data);
}

TEST_P(Sizes, all_ids_equal_is_one_run_of_all_occurrences) {
  support::configuration c = one_bag_table(1000, 4, 1000, many_ids);
  c.features[0].ids = support::id_choice::equal;
  support::problem_data data = support::make_tables(c);
  support::draw_batch(c, 0, data);
  for (std::int64_t i = 0; i < 4 * data.features[0].record.num_bags; ++i) {
    data.features[0].gradient.set(i, 1.0F / 256.0F);
  }
  step(data);
  expect_exact(data);
}

/// A table that is larger than 2^31 in some way; its memory is mapped as it is touched.
struct large_table {
  std::int64_t num_rows;
  std::int32_t dim;
  dtype type;
  optimizer_kind kind;
};

class LargeTable : public Sizes {
 protected:
  void TearDown() override {
    for (std::byte* memory : reserved_) device_->release(memory);
  }

  std::byte* reserve(std::int64_t bytes) {
    reserved_.push_back(device_->reserve(static_cast<std::size_t>(bytes)));
    return reserved_.back();
  }

  void write_row(const table_record& table, std::int64_t row, float value) {
    support::buffer contents(support::kind_of(table.row_type), 1, table.dim);
    for (std::int64_t i = 0; i < table.dim; ++i) contents.set(i, value);
    device_->write(address(table, row), contents.data(), contents.bytes.size());
    if (table.state[0] == nullptr) return;
    const float zero = 0.0F;
    device_->write(reinterpret_cast<std::byte*>(table.state[0] + row),
                   reinterpret_cast<const std::byte*>(&zero), sizeof(zero));
  }

  void expect_row(const table_record& table, std::int64_t row, float value) {
    support::buffer contents(support::kind_of(table.row_type), 1, table.dim);
    device_->fetch(contents.data(), address(table, row), contents.bytes.size());
    for (std::int64_t i = 0; i < table.dim; ++i) {
      ASSERT_EQ(contents.number(i), value) << "row " << row << ", column " << i;
    }
  }

  static std::byte* address(const table_record& table, std::int64_t row) {
    return static_cast<std::byte*>(table.rows) +
           static_cast<std::size_t>(row * table.row_stride) * size_of(table.row_type);
  }

  /// One step of two bags, {0, last} and {last}, output gradients 1, learning rate 1/4.
  void step_at_the_last_row(const large_table& size) {
    const std::int64_t last = size.num_rows - 1;
    support::configuration c = one_bag_table(1, size.dim, 2, 3);
    c.ids_type = index_type::i64;
    c.tables[0].form = gradient_form::fused;
    c.tables[0].row_type = size.type;
    c.tables[0].optimizer.learning_rate = 0.25F;
    c.tables[0].optimizer.eps = 0.0F;
    support::problem_data data = support::make_tables(c);
    support::draw_batch(c, 0, data);
    table_record& record = data.tables[0].record;
    record.num_rows = size.num_rows;
    record.optimizer.kind = size.kind;
    set_batch(data, {0, last, last});

    support::placed_problem placed(data, *device_);
    table_record table = placed.get().tables[0];
    const std::int64_t elements = size.num_rows * size.dim;
    table.rows = reserve(elements * static_cast<std::int64_t>(size_of(size.type)));
    if (size.kind == optimizer_kind::rowwise_adagrad) {
      table.state[0] = reinterpret_cast<float*>(reserve(size.num_rows * 4));
    }
    // The rows that 32-bit arithmetic on elements or rows would touch instead of the last.
    const std::int64_t wrapped = (last * size.dim & 0x7FFFFFFF) / size.dim;
    for (const std::int64_t row : {std::int64_t{0}, wrapped, last - 1, last}) {
      write_row(table, row, row == last ? 2.0F : 1.0F);
    }
    operations::problem problem = placed.get();
    problem.tables = {&table, 1};
    support::run_step(*backend_, problem);
    placed.fetch();

    for (std::int64_t column = 0; column < size.dim; ++column) {
      EXPECT_EQ(data.features[0].output.number(column), 3.0F);
      EXPECT_EQ(data.features[0].output.number(size.dim + column), 2.0F);
    }
    // sgd: w - g / 4 with g = 1 (row 0) and 2 (last). rowwise_adagrad: w - g / sqrt(g^2) / 4.
    const bool normalised = size.kind == optimizer_kind::rowwise_adagrad;
    expect_row(table, last, normalised ? 1.75F : 1.5F);
    expect_row(table, last - 1, 1.0F);
    expect_row(table, wrapped, wrapped == 0 ? 0.75F : 1.0F);
    expect_row(table, 0, 0.75F);
  }

  static void set_batch(support::problem_data& data, const std::vector<std::int64_t>& ids) {
    support::feature_data& feature = data.features[0];
    feature.record.num_ids = static_cast<std::int64_t>(ids.size());
    feature.ids = support::buffer(support::element_kind::i64, feature.record.num_ids, 1);
    for (std::int64_t i = 0; i < feature.record.num_ids; ++i) {
      feature.ids.set(i, ids[static_cast<std::size_t>(i)]);
    }
    feature.offsets.set(0, std::int64_t{0});
    feature.offsets.set(1, std::int64_t{2});
    for (std::int64_t i = 0; i < 2 * feature.record.gradient_stride; ++i) {
      feature.gradient.set(i, 1.0F);
    }
  }

 private:
  std::vector<std::byte*> reserved_;
};

TEST_P(LargeTable, of_more_than_2_to_the_31_elements_works_at_its_last_row) {
  step_at_the_last_row({(std::int64_t{1} << 24) + 5, 128, dtype::f32, optimizer_kind::sgd});
}

TEST_P(LargeTable, of_more_than_2_to_the_31_rows_works_at_its_last_row) {
  step_at_the_last_row(
      {(std::int64_t{1} << 31) + 3, 1, dtype::f16, optimizer_kind::rowwise_adagrad});
}

WARPBAG_FOR_EVERY_BACKEND(Sizes);
WARPBAG_FOR_EVERY_BACKEND(LargeTable);

}  // namespace
}  // namespace warpbag
