// SPDX-License-Identifier: Apache-2.0
// Several ranks sum the subtrees of the gradient tree that their samples fill, the owner finishes
// the rows from these sums: the bits of one device with the whole batch. WARPBAG_TEST_SEED=n
// replays one configuration.

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
constexpr support::drawing_limits limits{400, 3000};
constexpr std::int64_t num_configurations = 40;
#else
constexpr support::drawing_limits limits{10000, 100000};
constexpr std::int64_t num_configurations = 150;
#endif
constexpr std::uint64_t first_seed = 20262000;

/// Trained in the fused form from a batch that begins at sample 0.
support::configuration whole_batch(std::uint64_t seed) {
  support::configuration c = support::random_configuration(seed, limits);
  for (support::table_configuration& table : c.tables) {
    table.form = operations::gradient_form::fused;
    table.apply_sparse = false;
    table.renormalize = false;
  }
  for (support::feature_configuration& feature : c.features) {
    feature.first_sample = 0;
    feature.batch = feature.num_bags;
  }
  return c;
}

/// First sample of the slices from `slice` on.
std::int64_t first_sample_of(std::int64_t slice, std::int64_t batch) {
  return (slice * batch + numerics::num_slices - 1) / numerics::num_slices;
}

support::buffer part_of(const support::buffer& whole, std::int64_t first, std::int64_t last) {
  support::buffer part(whole.kind, last - first, whole.stride);
  const std::size_t row_bytes =
      static_cast<std::size_t>(whole.stride) * support::size_of(whole.kind);
  std::copy_n(whole.data() + static_cast<std::size_t>(first) * row_bytes, part.bytes.size(),
              part.bytes.begin());
  return part;
}

/// The bags of the samples of slices [first_slice, last_slice) of a feature.
support::feature_data rank_feature(const operations::problem& problem,
                                   const operations::feature_record& feature,
                                   const support::feature_data& whole, std::int32_t first_slice,
                                   std::int32_t last_slice) {
  const std::int64_t first_bag = first_sample_of(first_slice, feature.batch);
  const std::int64_t last_bag = first_sample_of(last_slice, feature.batch);
  const auto begin_of = [&](std::int64_t bag) {
    if (bag < feature.num_bags) return reference::range_of(problem, feature, bag).begin;
    return bag == 0 ? 0 : reference::range_of(problem, feature, bag - 1).end;
  };
  const std::int64_t begin = begin_of(first_bag);
  const std::int64_t end = begin_of(last_bag);
  support::feature_data part;
  part.record = whole.record;
  part.record.first_sample = first_bag;
  part.record.num_bags = last_bag - first_bag;
  part.record.num_ids = end - begin;
  part.ids = part_of(whole.ids, begin, end);
  if (whole.weights.present) part.weights = part_of(whole.weights, begin, end);
  if (whole.offsets.present) {
    part.record.has_last_offset = true;
    part.offsets = support::buffer(whole.offsets.kind, part.record.num_bags + 1, 1);
    for (std::int64_t bag = first_bag; bag <= last_bag; ++bag) {
      part.offsets.set(bag - first_bag, begin_of(bag) - begin);
    }
  }
  const bool of_ids = feature.mode == pooling_mode::none;
  part.gradient =
      of_ids ? part_of(whole.gradient, begin, end) : part_of(whole.gradient, first_bag, last_bag);
  if (whole.max_positions.present) {
    // The buffer's rows are the bags, [num_bags, dim].
    part.max_positions = part_of(whole.max_positions, first_bag, last_bag);
  }
  return part;
}

/// The lookups that the owner of all rows makes of one feature's partials.
struct owner_feature {
  std::vector<std::int64_t> rows;
  std::vector<operations::partial_record> partials;
  std::vector<float> values;
};

class Partials : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  /// What a rank sends, appended to what the ranks before it sent.
  void sum_on_rank(support::problem_data& data, std::int32_t first_slice, std::int32_t last_slice,
                   std::vector<owner_feature>& to) {
    std::vector<support::table_route> routes(data.tables.size());
    const support::routed_batch routed = support::route_batch(*backend_, *device_, data, routes);
    support::problem_data compact = support::compact_problem(data, routed);
    const std::vector<support::subtrees> cuts(data.features.size(),
                                              support::subtrees_of(first_slice, last_slice));
    const auto split_ids = support::split_batch(*backend_, *device_, compact, cuts);
    support::problem_data pairs = support::pair_problem(compact, cuts, split_ids);
    const auto sums = support::pack_batch(*backend_, *device_, pairs, data, routes, routed, cuts);
    for (std::size_t f = 0; f < sums.size(); ++f) unpack(sums[f], to[f]);
  }

  void unpack(const support::feature_partials& sums, owner_feature& to) {
    const support::device_array<std::int64_t> packed(*device_, sums.packed);
    const support::device_array<std::uint32_t> occurrences(*device_, sums.occurrences);
    support::device_array<std::int64_t> rows(*device_,
                                             std::vector<std::int64_t>(sums.packed.size()));
    support::device_array<operations::partial_record> partials(
        *device_, std::vector<operations::partial_record>(sums.packed.size()));
    backend_->unpack_partials(packed.size(), packed.data(), occurrences.data(), rows.data(),
                              partials.data());
    const auto append = [](auto& all, const auto& more) {
      all.insert(all.end(), more.begin(), more.end());
    };
    append(to.rows, rows.values());
    append(to.partials, partials.values());
    append(to.values, sums.values);
  }

  /// One step of `data`'s tables from partial sums.
  void finish(support::problem_data& data, const std::vector<owner_feature>& features) {
    data.gradient_type = dtype::f32;
    std::vector<support::device_array<operations::partial_record>> partials;
    for (std::size_t f = 0; f < features.size(); ++f) {
      const std::int64_t count = std::ssize(features[f].rows);
      partials.emplace_back(*device_, features[f].partials);
      support::feature_data feature;
      feature.record.table = data.features[f].record.table;
      feature.record.mode = pooling_mode::none;
      feature.record.num_ids = feature.record.num_bags = count;
      feature.record.hotness = 1;
      const std::int32_t dim =
          data.tables[static_cast<std::size_t>(feature.record.table)].record.dim;
      feature.record.gradient_stride = dim;
      feature.record.partials = partials.back().data();
      feature.ids = support::buffer(support::kind_of(data.ids_type), count, 1);
      for (std::int64_t i = 0; i < count; ++i) {
        feature.ids.set(i, features[f].rows[static_cast<std::size_t>(i)]);
      }
      feature.gradient = support::buffer(support::element_kind::f32, count, dim);
      std::copy(features[f].values.begin(), features[f].values.end(), feature.gradient.as<float>());
      data.features[f] = std::move(feature);
    }
    support::placed_problem placed(data, *device_);
    backend_->reserve(support::limits_of(placed.get()));
    backend_->check_inputs(placed.get());
    backend_->deduplicate(placed.get());
    backend_->advance_steps(placed.get());
    backend_->reduce_gradients(placed.get());
    placed.fetch();
  }

  void expect_one_device(const support::configuration& configuration, std::uint64_t seed) {
    support::problem_data data = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data);
    support::problem_data expected = data;
    const auto one_thread = support::cpu_backend(1).make_device();
    {
      support::placed_problem placed(expected, *one_thread);
      support::run_step(*one_thread->make_backend(), placed.get());
    }
    const support::bound_problem bound = support::bind(expected);

    support::random_source random(seed ^ 0x9A371A15ULL);
    std::vector<std::int32_t> cuts = {0, 64};
    for (std::int64_t rank = random.below(5); rank > 0; --rank) {
      cuts.push_back(static_cast<std::int32_t>(random.below(65)));
    }
    std::sort(cuts.begin(), cuts.end());
    std::vector<owner_feature> sums(data.features.size());
    for (std::size_t rank = 0; rank + 1 < cuts.size(); ++rank) {
      support::problem_data part = data;
      for (std::size_t f = 0; f < data.features.size(); ++f) {
        part.features[f] = rank_feature(bound.problem, bound.problem.features[f],
                                        expected.features[f], cuts[rank], cuts[rank + 1]);
      }
      sum_on_rank(part, cuts[rank], cuts[rank + 1], sums);
    }
    finish(data, sums);
    expected.features.clear();
    data.features.clear();
    EXPECT_EQ(support::difference(expected, data), "");
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

TEST_P(Partials, of_ranks_are_finished_to_the_bits_of_one_device) {
  for (const std::uint64_t seed : support::seeds_of_test(first_seed, num_configurations)) {
    const support::configuration configuration = whole_batch(seed);
    SCOPED_TRACE(::testing::PrintToString(configuration));
    expect_one_device(configuration, seed);
    if (HasFailure()) return;
  }
}

/// Hundreds of partials of one row do not come from 64 slices: `features` share the table.
TEST_P(Partials, of_hot_rows_are_finished_to_the_bits_of_one_device) {
  for (const std::int32_t dim : {1, 4, 40, 130}) {
    support::configuration configuration;
    configuration.seed = static_cast<std::uint64_t>(dim);
    support::table_configuration table;
    table.num_rows = 3;
    table.dim = dim;
    table.scale_grad_by_freq = true;
    table.optimizer.kind = optimizer_kind::rowwise_adagrad;
    table.optimizer.clipping = clipping_kind::norm;
    table.optimizer.clipping_limit = 0.5F;
    configuration.tables = {table};
    for (const std::int64_t lookups : {3000, 20, 5000, 900}) {
      support::feature_configuration feature;
      feature.mode = lookups == 5000 ? pooling_mode::mean : pooling_mode::sum;
      feature.layout = support::bag_layout::offsets;
      feature.num_bags = feature.batch = 200;
      feature.num_lookups = lookups;
      feature.ids = support::id_choice::skewed;
      feature.weighted = lookups == 900;
      configuration.features.push_back(feature);
    }
    SCOPED_TRACE(::testing::PrintToString(configuration));
    expect_one_device(configuration, 17);
  }
}

/// A row with thousands of partials: every sample is one, as if each had been cut by a rank's end.
TEST_P(Partials, of_single_occurrences_are_the_batch_itself) {
  support::configuration configuration;
  configuration.seed = 31;
  support::table_configuration table;
  table.num_rows = 4;
  table.dim = 20;
  table.scale_grad_by_freq = true;
  table.optimizer.kind = optimizer_kind::adagrad;
  configuration.tables = {table};
  support::feature_configuration feature;
  feature.mode = pooling_mode::none;
  feature.num_bags = feature.batch = feature.num_lookups = 9000;
  feature.ids = support::id_choice::skewed;
  configuration.features = {feature};
  support::problem_data data = support::make_tables(configuration);
  support::draw_batch(configuration, 0, data);
  support::problem_data expected = data;
  const auto one_thread = support::cpu_backend(1).make_device();
  {
    support::placed_problem placed(expected, *one_thread);
    support::run_step(*one_thread->make_backend(), placed.get());
  }
  std::vector<owner_feature> sums(1);
  for (std::int64_t i = 0; i < feature.num_bags; ++i) {
    sums[0].rows.push_back(data.features[0].ids.as<std::int64_t>()[i]);
    sums[0].partials.push_back({numerics::slice_of(i, feature.batch), 1});
  }
  const float* const gradient = data.features[0].gradient.as<float>();
  sums[0].values.assign(gradient, gradient + feature.num_bags * table.dim);
  finish(data, sums);
  expected.features.clear();
  data.features.clear();
  EXPECT_EQ(support::difference(expected, data), "");
}

WARPBAG_FOR_EVERY_BACKEND(Partials);

}  // namespace
}  // namespace warpbag
