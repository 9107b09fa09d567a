// SPDX-License-Identifier: Apache-2.0
// What an embedding bag is: pool(ids) = onehot(ids) x W, where row b of onehot(ids) counts how
// often each id is in bag b. On verifiable numbers, so exactly; backward is its transpose.

#include <gtest/gtest.h>

#include "reference/lookups.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::feature_record;
using operations::table_record;

constexpr std::int64_t num_bags = 19;

support::configuration one_table(std::int32_t dim, pooling_mode mode, bool weighted) {
  support::configuration c;
  c.seed = 11;
  c.values = support::value_choice::verifiable;
  support::table_configuration table;
  table.num_rows = 23;
  table.dim = dim;
  table.form = operations::gradient_form::dense;
  c.tables = {table};
  support::feature_configuration feature;
  feature.mode = mode;
  feature.layout = support::bag_layout::offsets_with_last;
  feature.weighted = weighted;
  feature.num_bags = num_bags;
  feature.num_lookups = 300;
  feature.batch = num_bags;
  c.features = {feature};
  return c;
}

/// [num_bags][num_rows]: the sum of the weights with which a bag looks a row up.
std::vector<std::vector<double>> one_hot(const operations::problem& problem) {
  const feature_record& feature = problem.features[0];
  std::vector<std::vector<double>> matrix(
      num_bags, std::vector<double>(static_cast<std::size_t>(problem.tables[0].num_rows), 0.0));
  for (std::int64_t bag = 0; bag < num_bags; ++bag) {
    const reference::bag_range range = reference::range_of(problem, feature, bag);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const std::int64_t id = reference::index_at(feature.ids, problem.ids_type, i);
      matrix[static_cast<std::size_t>(bag)][static_cast<std::size_t>(id)] +=
          feature.weights == nullptr ? 1.0 : static_cast<double>(feature.weights[i]);
    }
  }
  return matrix;
}

class OneHot : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  /// One step of a configuration, fetched back.
  void run(const support::configuration& configuration) {
    const auto device = GetParam().make_device();
    const auto backend = device->make_backend();
    data_ = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data_);
    support::placed_problem placed(data_, *device);
    support::run_step(*backend, placed.get());
    placed.fetch();
  }

  support::problem_data data_;
};

TEST_P(OneHot, sum_is_the_matrix_product_and_its_gradient_the_transposed_one) {
  for (const std::int32_t dim : {1, 3, 4, 32, 33, 128}) {
    for (const bool weighted : {false, true}) {
      run(one_table(dim, pooling_mode::sum, weighted));
      const support::bound_problem bound = support::bind(data_);
      const table_record& table = bound.tables[0];
      const feature_record& feature = bound.features[0];
      const auto matrix = one_hot(bound.problem);
      for (std::int64_t column = 0; column < dim; ++column) {
        for (std::int64_t bag = 0; bag < num_bags; ++bag) {
          double product = 0.0;
          for (std::int64_t row = 0; row < table.num_rows; ++row) {
            product += matrix[static_cast<std::size_t>(bag)][static_cast<std::size_t>(row)] *
                       reference::element(table.rows, table.row_type, row * dim + column);
          }
          ASSERT_EQ(static_cast<const float*>(feature.output)[bag * dim + column], product)
              << "dim " << dim << ", bag " << bag << ", column " << column;
        }
        for (std::int64_t row = 0; row < table.num_rows; ++row) {
          double product = 0.0;
          for (std::int64_t bag = 0; bag < num_bags; ++bag) {
            product += matrix[static_cast<std::size_t>(bag)][static_cast<std::size_t>(row)] *
                       reference::element(feature.gradient, dtype::f32, bag * dim + column);
          }
          ASSERT_EQ(static_cast<const float*>(table.gradient.values)[row * dim + column], product)
              << "dim " << dim << ", row " << row << ", column " << column;
        }
      }
    }
  }
}

TEST_P(OneHot, mean_is_the_matrix_product_divided_once_by_the_count) {
  run(one_table(16, pooling_mode::mean, false));
  const support::bound_problem bound = support::bind(data_);
  const table_record& table = bound.tables[0];
  const auto matrix = one_hot(bound.problem);
  for (std::int64_t bag = 0; bag < num_bags; ++bag) {
    double count = 0.0;
    for (const double times : matrix[static_cast<std::size_t>(bag)]) count += times;
    for (std::int64_t column = 0; column < 16; ++column) {
      double product = 0.0;
      for (std::int64_t row = 0; row < table.num_rows; ++row) {
        product += matrix[static_cast<std::size_t>(bag)][static_cast<std::size_t>(row)] *
                   reference::element(table.rows, table.row_type, row * 16 + column);
      }
      const float expected =
          count == 0.0 ? 0.0F : static_cast<float>(product) / static_cast<float>(count);
      ASSERT_EQ(static_cast<const float*>(bound.features[0].output)[bag * 16 + column], expected);
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(OneHot);

}  // namespace
}  // namespace warpbag
