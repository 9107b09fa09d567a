// SPDX-License-Identifier: Apache-2.0
// Gradients against differences of the forward pass: with L = sum of (output * output gradient),
// dL/dx = (L(x + h) - L(x - h)) / 2h. Sum, mean and (away from ties) max are linear in each row and
// in each weight, so with numbers k / 256 and h = 2^-9 the difference is exact but for the rounding
// of the mean.

#include <gtest/gtest.h>

#include <functional>

#include "operations/tolerances.hpp"
#include "reference/lookups.hpp"
#include "reference/reference.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

constexpr float h = 0x1p-9F;
constexpr std::int32_t dim = 5;

struct gradient_case {
  const char* name;
  pooling_mode mode;
  bool weighted;
};

const gradient_case cases[] = {
    {"sum", pooling_mode::sum, false},         {"mean", pooling_mode::mean, false},
    {"max", pooling_mode::max, false},         {"none", pooling_mode::none, false},
    {"weighted sum", pooling_mode::sum, true}, {"weighted mean", pooling_mode::mean, true}};

support::configuration configuration_of(const gradient_case& which) {
  support::configuration c;
  c.seed = 5;
  c.values = support::value_choice::verifiable;
  support::table_configuration table;
  table.num_rows = 9;
  table.dim = dim;
  table.padding_idx = 3;
  table.form = operations::gradient_form::dense;
  c.tables = {table};
  support::feature_configuration feature;
  feature.mode = which.mode;
  feature.layout = support::bag_layout::offsets_with_last;
  feature.weighted = which.weighted;
  feature.wants_weight_gradient = which.weighted;
  feature.num_bags = feature.batch = 7;
  feature.num_lookups = 40;
  feature.unused_ids = 2;
  c.features = {feature, feature};  // two features share the table
  return c;
}

/// The loss in double from the reference's forward.
double reference_loss(support::problem_data& data) {
  const support::bound_problem bound = support::bind(data);
  double loss = 0.0;
  for (std::size_t f = 0; f < bound.features.size(); ++f) {
    const operations::feature_record& feature = bound.features[f];
    const reference::pooled pooled = reference::pool(bound.problem, static_cast<std::int32_t>(f));
    for (std::size_t i = 0; i < pooled.values.size(); ++i) {
      loss += pooled.values[i].value *
              reference::element(feature.gradient, dtype::f32, static_cast<std::int64_t>(i));
    }
  }
  return loss;
}

class FiniteDifference : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  /// The loss from this backend's own forward.
  double backend_loss(support::problem_data& data) {
    support::placed_problem placed(data, *device_);
    backend_->reserve(support::limits_of(placed.get()));
    backend_->check_inputs(placed.get());
    backend_->pool(placed.get());
    placed.fetch();
    double loss = 0.0;
    for (const support::feature_data& feature : data.features) {
      const std::int64_t rows = feature.record.mode == pooling_mode::none ? feature.record.num_ids
                                                                          : feature.record.num_bags;
      for (std::int64_t i = 0; i < rows * dim; ++i) {
        loss += static_cast<double>(feature.output.number(i)) *
                static_cast<double>(feature.gradient.number(i));
      }
    }
    return loss;
  }

  support::problem_data step(const support::configuration& configuration) {
    support::problem_data data = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data);
    // A tie would give max no derivative: every element of a column becomes another number.
    for (std::int64_t i = 0; i < data.tables[0].record.num_rows * dim; ++i) {
      data.tables[0].rows.set(i, static_cast<float>((i * 37) % 64 - 32) / 32.0F);
    }
    support::placed_problem placed(data, *device_);
    support::run_step(*backend_, placed.get());
    placed.fetch();
    return data;
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

/// (loss(x + h) - loss(x - h)) / 2h for element `index` of `contents`, a buffer of the problem that
/// `loss` evaluates.
double central_difference(support::buffer& contents, std::int64_t index,
                          const std::function<double()>& loss) {
  const float x = contents.number(index);
  contents.set(index, x + h);
  const double above = loss();
  contents.set(index, x - h);
  const double below = loss();
  contents.set(index, x);
  return (above - below) / (2.0 * static_cast<double>(h));
}

// Rounding of the mean in the outputs, about 100 of magnitude 1, divided by h, and of the gradient.
constexpr double reference_tolerance = 1e-5;
constexpr double backend_tolerance = 100 * 0x1p-24 / 0x1p-9;

TEST_P(FiniteDifference, gradient_of_rows_is_the_derivative) {
  for (const gradient_case& which : cases) {
    SCOPED_TRACE(which.name);
    support::problem_data data = step(configuration_of(which));
    const support::buffer gradient = data.tables[0].gradient_values;
    support::buffer& rows = data.tables[0].rows;
    for (std::int64_t i = 0; i < 9 * dim; ++i) {
      if (which.mode == pooling_mode::none && i / dim == 3) {
        EXPECT_EQ(gradient.number(i), 0.0F) << "padding is returned but not trained";
        continue;
      }
      const double actual = static_cast<double>(gradient.number(i));
      EXPECT_NEAR(actual, central_difference(rows, i, [&] { return reference_loss(data); }),
                  reference_tolerance)
          << "element " << i;
      EXPECT_NEAR(actual, central_difference(rows, i, [&] { return backend_loss(data); }),
                  backend_tolerance)
          << "element " << i;
    }
  }
}

TEST_P(FiniteDifference, gradient_of_sample_weights_is_the_derivative) {
  for (const gradient_case& which : cases) {
    if (!which.weighted) continue;
    SCOPED_TRACE(which.name);
    support::problem_data data = step(configuration_of(which));
    for (support::feature_data& feature : data.features) {
      for (std::int64_t i = 0; i < feature.record.num_ids; ++i) {
        const double actual = static_cast<double>(feature.weight_gradient.number(i));
        EXPECT_NEAR(actual,
                    central_difference(feature.weights, i, [&] { return reference_loss(data); }),
                    reference_tolerance)
            << "position " << i;
        EXPECT_NEAR(actual,
                    central_difference(feature.weights, i, [&] { return backend_loss(data); }),
                    backend_tolerance)
            << "position " << i;
      }
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(FiniteDifference);

}  // namespace
}  // namespace warpbag
