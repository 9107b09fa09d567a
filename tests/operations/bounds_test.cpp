// SPDX-License-Identifier: Apache-2.0
// Every backend against the double-precision reference, operation by operation, within the bounds
// of tolerances.hpp; on verifiable inputs (all sums exact) without a tolerance.

#include <gtest/gtest.h>

#include <cmath>

#include "operations/tolerances.hpp"
#include "reference/lookups.hpp"
#include "reference/reference.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

#ifdef WARPBAG_TEST_CUDA
constexpr support::drawing_limits limits{300, 3000};
constexpr std::int64_t num_configurations = 25;
#else
constexpr support::drawing_limits limits{6000, 60000};
constexpr std::int64_t num_configurations = 150;
#endif
constexpr std::uint64_t first_seed = 31000000;

using operations::feature_record;
using operations::gradient_form;
using operations::table_record;
using reference::estimate;
using gradients_of_table = std::map<std::int64_t, std::vector<estimate>>;

/// Runs a step operation by operation and checks each result as it comes.
class checked_step {
 public:
  checked_step(const support::configuration& configuration, const support::backend_choice& choice)
      : configuration_(configuration),
        device_(choice.make_device()),
        backend_(device_->make_backend()),
        data_(support::make_tables(configuration)) {
    support::draw_batch(configuration_, 0, data_);
    before_ = data_;
    placed_ = std::make_unique<support::placed_problem>(data_, *device_);
    host_ = support::bind(data_);
  }

  void run() {
    const operations::problem& problem = placed_->get();
    backend_->reserve(support::limits_of(problem));
    backend_->check_inputs(problem);
    backend_->deduplicate(problem);
    backend_->renormalize_rows(problem);
    placed_->fetch();
    check_renormalized_rows();
    before_ = data_;  // what pooling and the update read
    backend_->pool(problem);
    backend_->sample_weight_gradient(problem);
    backend_->advance_steps(problem);
    backend_->reduce_gradients(problem);
    placed_->fetch();
    const support::bound_problem pooled_from = support::bind(before_);
    for (std::size_t f = 0; f < host_.features.size(); ++f) {
      check_outputs(pooled_from.problem, static_cast<std::int32_t>(f));
      check_weight_gradient(pooled_from.problem, static_cast<std::int32_t>(f));
    }
    for (std::size_t t = 0; t < host_.tables.size(); ++t) {
      check_gradients(pooled_from.problem, static_cast<std::int32_t>(t));
    }
  }

 private:
  static void expect_near(double actual, double exact, double bound, const char* what,
                          std::int64_t row, std::int64_t column) {
    if (std::abs(actual - exact) <= bound) return;
    ADD_FAILURE() << what << " [" << row << ", " << column << "]: " << actual << ", reference "
                  << exact << ", bound " << bound;
  }

  double row_value(const table_record& table, std::int64_t row, std::int64_t column) const {
    return reference::element(table.rows, table.row_type, row * table.row_stride + column);
  }

  bool is_exact() const { return configuration_.values == support::value_choice::verifiable; }

  void check_renormalized_rows() {
    const support::bound_problem before = support::bind(before_);
    for (std::size_t t = 0; t < host_.tables.size(); ++t) {
      const table_record& table = host_.tables[t];
      const gradients_of_table changed =
          reference::renormalize_rows(before.problem, static_cast<std::int32_t>(t));
      for (std::int64_t row = 0; row < table.num_rows; ++row) {
        const auto found = changed.find(row);
        for (std::int64_t column = 0; column < table.dim; ++column) {
          const double actual = row_value(table, row, column);
          if (found == changed.end()) {
            ASSERT_EQ(actual, row_value(before.tables[t], row, column)) << "row " << row;
            continue;
          }
          const estimate& x = found->second[static_cast<std::size_t>(column)];
          expect_near(actual, x.value, stored_bound(table.row_type, x), "renormalised", row,
                      column);
        }
      }
    }
  }

  void check_outputs(const operations::problem& problem, std::int32_t f) {
    const feature_record& feature = host_.features[static_cast<std::size_t>(f)];
    const std::int64_t dim = host_.tables[static_cast<std::size_t>(feature.table)].dim;
    const bool exact =
        is_exact() && !host_.tables[static_cast<std::size_t>(feature.table)].renormalize;
    const reference::pooled pooled = reference::pool(problem, f);
    for (std::size_t i = 0; i < pooled.values.size(); ++i) {
      const std::int64_t row = static_cast<std::int64_t>(i) / dim;
      const std::int64_t column = static_cast<std::int64_t>(i) % dim;
      const double actual = reference::element(feature.output, data_.output_type,
                                               row * feature.output_stride + column);
      const double value = pooled.values[i].value;
      // Where all sums are exact, one division and one rounding are left.
      const double error =
          exact ? std::abs(value) * 0x1p-24
                : pooling_bound(pooled.counts[static_cast<std::size_t>(row)], pooled.magnitudes[i]);
      const bool divides = feature.mode == pooling_mode::mean;
      const double bound = stored_bound(data_.output_type, value, exact && !divides ? 0.0 : error);
      expect_near(actual, value, bound, "output", row, column);
    }
    for (std::size_t i = 0; i < pooled.max_positions.size(); ++i) {
      ASSERT_EQ(feature.max_positions[i], pooled.max_positions[i]) << "max position " << i;
    }
  }

  void check_weight_gradient(const operations::problem& problem, std::int32_t f) {
    const feature_record& feature = host_.features[static_cast<std::size_t>(f)];
    if (feature.weight_gradient == nullptr) return;
    const std::vector<estimate> expected = reference::sample_weight_gradient(problem, f);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expect_near(static_cast<double>(feature.weight_gradient[i]), expected[i].value,
                  expected[i].error, "weight gradient", static_cast<std::int64_t>(i), 0);
    }
  }

  void check_gradients(const operations::problem& problem, std::int32_t t) {
    const gradients_of_table expected = reference::reduce_gradients(problem, t);
    switch (host_.tables[static_cast<std::size_t>(t)].gradient.form) {
      case gradient_form::none: expect_unchanged_rows(problem, t); return;
      case gradient_form::fused: check_step(problem, t, expected); return;
      case gradient_form::sparse: check_sparse(t, expected); return;
      case gradient_form::dense: check_dense(t, expected); return;
    }
  }

  void expect_unchanged_rows(const operations::problem& problem, std::int32_t t) {
    const table_record& table = host_.tables[static_cast<std::size_t>(t)];
    for (std::int64_t row = 0; row < table.num_rows; ++row) {
      for (std::int64_t column = 0; column < table.dim; ++column) {
        ASSERT_EQ(row_value(table, row, column),
                  row_value(problem.tables[static_cast<std::size_t>(t)], row, column));
      }
    }
  }

  void check_values(const table_record& table, std::int64_t index,
                    const std::vector<estimate>& expected) {
    for (std::int64_t column = 0; column < table.dim; ++column) {
      const estimate& x = expected[static_cast<std::size_t>(column)];
      expect_near(reference::element(table.gradient.values, table.gradient.value_type,
                                     index * table.dim + column),
                  x.value, stored_bound(table.gradient.value_type, x), "gradient", index, column);
    }
  }

  void check_sparse(std::int32_t t, const gradients_of_table& expected) {
    const table_record& table = host_.tables[static_cast<std::size_t>(t)];
    ASSERT_EQ(*table.gradient.count, static_cast<std::int64_t>(expected.size()));
    std::int64_t index = 0;
    for (const auto& [row, gradient] : expected) {
      ASSERT_EQ(table.gradient.rows[index], row);
      check_values(table, index, gradient);
      ++index;
    }
  }

  void check_dense(std::int32_t t, const gradients_of_table& expected) {
    const table_record& table = host_.tables[static_cast<std::size_t>(t)];
    const std::vector<estimate> zeros(static_cast<std::size_t>(table.dim));
    for (std::int64_t row = 0; row < table.num_rows; ++row) {
      const auto found = expected.find(row);
      check_values(table, row, found == expected.end() ? zeros : found->second);
    }
  }

  void check_step(const operations::problem& problem, std::int32_t t,
                  const gradients_of_table& gradients) {
    const table_record& before = problem.tables[static_cast<std::size_t>(t)];
    const table_record& after = host_.tables[static_cast<std::size_t>(t)];
    ASSERT_EQ(after.step->step, before.step->step + 1);
    const auto expected = reference::update_rows(before, gradients);
    for (std::int64_t row = 0; row < after.num_rows; ++row) {
      const auto found = expected.find(row);
      if (found == expected.end()) {
        for (std::int64_t column = 0; column < after.dim; ++column) {
          ASSERT_EQ(row_value(after, row, column), row_value(before, row, column)) << "row " << row;
        }
        continue;
      }
      check_stepped_row(after, row, found->second);
    }
  }

  void check_stepped_row(const table_record& after, std::int64_t row,
                         const reference::stepped_row& expected) {
    for (std::int64_t column = 0; column < after.dim; ++column) {
      const estimate& x = expected.weight[static_cast<std::size_t>(column)];
      expect_near(row_value(after, row, column), x.value,
                  stored_bound(after.row_type, x, after.optimizer.stochastic_rounding), "weight",
                  row, column);
    }
    for (int index = 0; index < 2; ++index) {
      const std::vector<estimate>& state = expected.state[index];
      for (std::size_t i = 0; i < state.size(); ++i) {
        const std::size_t at = static_cast<std::size_t>(row) * state.size() + i;
        expect_near(static_cast<double>(after.state[index][at]), state[i].value, state[i].error,
                    index == 0 ? "state 0" : "state 1", row, static_cast<std::int64_t>(i));
      }
    }
  }

  const support::configuration& configuration_;
  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
  support::problem_data data_;
  support::problem_data before_;
  std::unique_ptr<support::placed_problem> placed_;
  support::bound_problem host_;  // data_ itself
};

class Bounds : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void run(support::value_choice values, std::uint64_t seed_offset) {
    for (const std::uint64_t seed :
         support::seeds_of_test(first_seed + seed_offset, num_configurations)) {
      support::configuration configuration = support::random_configuration(seed, limits);
      configuration.values = values;
      SCOPED_TRACE(::testing::PrintToString(configuration));
      checked_step(configuration, GetParam()).run();
      ASSERT_FALSE(HasFailure()) << "the first configuration that fails is enough";
    }
  }
};

TEST_P(Bounds, every_operation_is_within_its_error_bound_of_the_reference) {
  run(support::value_choice::ordinary, 0);
}

TEST_P(Bounds, verifiable_sums_are_exact) { run(support::value_choice::verifiable, 100000); }

WARPBAG_FOR_EVERY_BACKEND(Bounds);

}  // namespace
}  // namespace warpbag
