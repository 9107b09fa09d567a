// SPDX-License-Identifier: Apache-2.0
// Every backend against the CPU with one thread, over the whole cross-product of options, to the
// last bit. WARPBAG_TEST_SEED=n replays one configuration.

#include <gtest/gtest.h>

#include "operations/backend.hpp"
#include "reference/reference.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

#ifdef WARPBAG_TEST_CUDA
// A simulator runs these: many small configurations rather than few large ones.
constexpr support::drawing_limits limits{400, 4000};
constexpr std::int64_t num_configurations = 200;
#else
constexpr support::drawing_limits limits{10000, 200000};
constexpr std::int64_t num_configurations = 300;
#endif
constexpr std::uint64_t first_seed = 20260000;

/// What a backend did in one step, beside what it wrote.
struct step_report {
  operations::occurrences occurrences;
  operations::input_status status;
};

/// A backend and the tables it trains from the same start.
class trainer {
 public:
  trainer(const support::configuration& configuration, const support::backend_choice& choice)
      : configuration_(configuration),
        device_(choice.make_device()),
        backend_(device_->make_backend()),
        data_(support::make_tables(configuration)) {}

  step_report step(std::int64_t number) {
    support::draw_batch(configuration_, number, data_);
    std::vector<bool> apply;
    for (const support::table_configuration& table : configuration_.tables) {
      apply.push_back(table.apply_sparse && table.value_type == dtype::f32);
    }
    support::placed_problem placed(data_, *device_);
    support::run_step(*backend_, placed.get(), apply);
    placed.fetch();
    return {backend_->copy_occurrences(placed.get()), backend_->status()};
  }

  support::problem_data& data() { return data_; }

 private:
  const support::configuration& configuration_;
  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
  support::problem_data data_;
};

class SameBits : public ::testing::TestWithParam<support::backend_choice> {};

void train_and_compare(const support::configuration& configuration,
                       const support::backend_choice& choice) {
  trainer expected(configuration, support::cpu_backend(1));
  trainer actual(configuration, choice);
  std::int64_t bad_ids = 0;
  for (std::int64_t step = 0; step < configuration.steps; ++step) {
    const step_report report = expected.step(step);
    const step_report other = actual.step(step);
    ASSERT_EQ(support::difference(expected.data(), actual.data()), "") << "after step " << step;
    const support::bound_problem bound = support::bind(actual.data());
    const operations::occurrences defined = reference::deduplicate(bound.problem);
    for (const operations::occurrences& x : {report.occurrences, other.occurrences}) {
      ASSERT_EQ(x.rows, defined.rows) << "in step " << step;
      ASSERT_EQ(x.run_begins, defined.run_begins) << "in step " << step;
      ASSERT_EQ(x.positions, defined.positions) << "in step " << step;
    }
    bad_ids += reference::check_inputs(bound.problem).bad_ids;
    ASSERT_EQ(report.status.bad_ids, bad_ids) << "in step " << step;
    ASSERT_EQ(other.status.bad_ids, bad_ids) << "in step " << step;
  }
}

TEST_P(SameBits, training_equals_one_cpu_thread_for_random_configurations) {
  for (const std::uint64_t seed : support::seeds_of_test(first_seed, num_configurations)) {
    const support::configuration configuration = support::random_configuration(seed, limits);
    SCOPED_TRACE(::testing::PrintToString(configuration));
    ASSERT_NO_FATAL_FAILURE(train_and_compare(configuration, GetParam()));
  }
}

/// Bags around the sizes at which one is cut. Most lookups may be missing, so that pieces are empty
/// and the first that is there lies in any of them; it may be a NaN.
support::configuration long_bags_of_mode_max(std::int32_t dim, dtype type, double bad_id_chance) {
  support::configuration c;
  c.seed = 77;
  c.ids_type = dim % 2 == 0 ? index_type::i64 : index_type::i32;
  c.policy = dim % 3 == 0 ? bad_id_policy::zero : bad_id_policy::skip;
  c.bad_id_chance = bad_id_chance;
  c.values = support::value_choice::special;
  c.steps = 1;
  support::table_configuration table;
  table.num_rows = 300;
  table.dim = dim;
  table.row_type = type;
  table.form = operations::gradient_form::dense;
  table.padding_idx = 7;
  c.tables = {table};
  support::feature_configuration feature;
  feature.mode = pooling_mode::max;
  feature.layout = support::bag_layout::offsets_with_last;
  feature.unused_ids = 300;
  feature.lengths = {0, 513, 1, 512, 767, 768, 769, 1023, 3, 1024, 1025, 0, 2049};
  feature.num_bags = feature.batch = std::ssize(feature.lengths);
  c.features = {feature, feature};
  c.features[1].layout = support::bag_layout::fixed;
  c.features[1].lengths = {};
  c.features[1].num_lookups = 700 * feature.num_bags;
  return c;
}

TEST_P(SameBits, long_bags_of_mode_max_equal_one_cpu_thread) {
  for (const double chance : {0.0, 0.1, 0.998}) {
    for (const std::int32_t dim : {1, 3, 8, 33, 130}) {
      const dtype type = dim == 8 ? dtype::f16 : dtype::f32;
      const support::configuration configuration = long_bags_of_mode_max(dim, type, chance);
      SCOPED_TRACE(::testing::PrintToString(configuration));
      ASSERT_NO_FATAL_FAILURE(train_and_compare(configuration, GetParam()));
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(SameBits);

}  // namespace
}  // namespace warpbag
