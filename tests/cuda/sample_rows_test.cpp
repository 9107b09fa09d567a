// SPDX-License-Identifier: Apache-2.0
// Hot rows of a batch (kernels/common/hot_rows.cuh): which rows the sample finds, and that a
// forward which reads the others past L1 gives the same bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <random>

#include "cuda/launch_context.hpp"
#include "cuda/stages.hpp"
#include "support/configuration.hpp"
#include "support/device_array.hpp"

namespace warpbag::cuda_test {
namespace {

using kernels::hot_filter;
using kernels::hot_row_policy;

constexpr std::uint32_t unwritten = 0xABCDABCD;
constexpr std::int64_t num_rows = 1'000'000;
constexpr std::int32_t dim = 128;
constexpr std::int64_t enough_ids =
    hot_row_policy::least_bytes / (dim * static_cast<std::int64_t>(sizeof(float)));

/// The filter of one feature with these ids.
template <typename Index>
hot_filter filter_of(const std::vector<Index>& ids) {
  const auto device = support::backends_under_test().front().make_device();
  const support::device_array<Index> placed(*device, ids);
  operations::table_record table;
  table.num_rows = num_rows;
  table.dim = dim;
  operations::feature_record feature;
  feature.ids = placed.data();
  feature.num_ids = feature.num_bags = placed.size();
  feature.hotness = 1;
  const support::device_array<operations::table_record> tables(*device, {table});
  const support::device_array<operations::feature_record> features(*device, {feature});
  hot_filter blank;
  std::fill(std::begin(blank.words), std::end(blank.words), unwritten);
  support::device_array<hot_filter> filter(*device, {blank});

  cuda::launch_context context;
  context.stream = device->get_resources().stream;
  context.problem.tables = tables.data();
  context.problem.features = features.data();
  context.problem.num_tables = context.problem.num_features = 1;
  operations::problem problem;
  problem.features = {&feature, 1};
  problem.ids_type = sizeof(Index) == 4 ? index_type::i32 : index_type::i64;
  cuda::sample_rows(context, problem, filter.data());
  return filter.values().front();
}

bool is_hot(const hot_filter& filter, std::int64_t id) {
  const std::uint32_t bucket = kernels::bucket_of(id);
  return (filter.words[bucket / 32] >> bucket % 32 & 1U) != 0;
}

int count_hot(const hot_filter& filter) {
  int count = 0;
  for (const std::uint32_t word : filter.words) count += std::popcount(word);
  return count;
}

/// A share of the lookups reads the rows first, first + step, ..., `hot_rows` of them.
template <typename Index>
std::vector<Index> skewed_ids(double share, std::int64_t hot_rows, std::int64_t step) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<std::int64_t> hot(0, hot_rows - 1);
  std::uniform_int_distribution<std::int64_t> any(0, num_rows - 1);
  std::vector<Index> ids(static_cast<std::size_t>(enough_ids));
  for (Index& id : ids) {
    const bool is_hot = std::uniform_real_distribution<>()(random) < share;
    id = static_cast<Index>(is_hot ? hot(random) * step : any(random));
  }
  return ids;
}

template <typename Index>
void expect_hot_rows_found() {
  for (const std::int64_t step : {1, 4096, 9973}) {
    SCOPED_TRACE(step);
    const hot_filter filter = filter_of(skewed_ids<Index>(0.5, 100, step));
    for (std::int64_t i = 0; i < 100; ++i) EXPECT_TRUE(is_hot(filter, i * step)) << i;
    EXPECT_LE(count_hot(filter), hot_row_policy::kept_bytes / (dim * 4));
  }
}

TEST(SampleRows, finds_the_rows_that_half_of_the_lookups_read) {
  expect_hot_rows_found<std::int32_t>();
  expect_hot_rows_found<std::int64_t>();
}

TEST(SampleRows, keeps_no_more_rows_than_there_is_room_for) {
  const hot_filter filter = filter_of(skewed_ids<std::int32_t>(0.9, 400, 1));
  const int most = hot_row_policy::kept_bytes / (dim * 4);
  EXPECT_LE(count_hot(filter), most);
  EXPECT_GT(count_hot(filter), most / 2);
}

TEST(SampleRows, takes_all_rows_as_hot_where_few_lookups_would_be_served) {
  EXPECT_EQ(count_hot(filter_of(skewed_ids<std::int32_t>(0.0, 1, 1))), hot_row_policy::buckets);
  EXPECT_EQ(count_hot(filter_of(skewed_ids<std::int32_t>(0.2, 50, 1))), hot_row_policy::buckets);
}

TEST(SampleRows, counts_any_ids) {
  for (const std::int64_t id :
       {std::int64_t{0}, num_rows - 1, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max()}) {
    const hot_filter filter =
        filter_of(std::vector<std::int64_t>(static_cast<std::size_t>(enough_ids), id));
    EXPECT_TRUE(is_hot(filter, id));
    EXPECT_EQ(count_hot(filter), 1);
  }
}

TEST(SampleRows, leaves_small_features_alone) {
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(enough_ids - 1), 3);
  const hot_filter filter = filter_of(ids);
  EXPECT_TRUE(std::all_of(std::begin(filter.words), std::end(filter.words),
                          [](std::uint32_t word) { return word == unwritten; }));
}

/// Bags of many lengths, so that a bag's bits begin anywhere in a word.
support::configuration large_forward(dtype type, bool weighted, index_type ids_type) {
  support::configuration drawn;
  drawn.seed = 11;
  drawn.ids_type = ids_type;
  support::table_configuration table;
  table.num_rows = 3000;
  table.dim = type == dtype::f32 ? dim : 2 * dim;
  table.row_type = type;
  table.form = operations::gradient_form::none;
  support::feature_configuration feature;
  feature.layout = support::bag_layout::offsets;
  feature.weighted = weighted;
  feature.ids = support::id_choice::skewed;
  std::mt19937_64 random(5);
  std::uniform_int_distribution<std::int64_t> length(0, 300);
  while (feature.num_lookups < enough_ids) {
    feature.lengths.push_back(length(random));
    feature.num_lookups += feature.lengths.back();
  }
  feature.num_bags = feature.batch = std::ssize(feature.lengths);
  drawn.tables = {table};
  drawn.features = {feature};
  return drawn;
}

void expect_bits_of_the_cpu(const support::configuration& drawn) {
  const auto forward = [&](const support::backend_choice& choice) {
    const auto device = choice.make_device();
    const auto backend = device->make_backend();
    support::problem_data data = support::make_tables(drawn);
    support::draw_batch(drawn, 0, data);
    support::placed_problem placed(data, *device);
    const operations::problem& problem = placed.get();
    EXPECT_TRUE(kernels::may_share_rows(problem.tables[0], problem.features[0]));
    backend->reserve(support::limits_of(problem));
    backend->check_inputs(problem);
    backend->pool(problem);
    placed.fetch();
    return data;
  };
  support::problem_data expected = forward(support::cpu_backend(2));
  support::problem_data actual = forward(support::backends_under_test().front());
  EXPECT_EQ(support::difference(expected, actual), "");
}

TEST(SampledForward, has_the_bits_of_the_cpu) {
  expect_bits_of_the_cpu(large_forward(dtype::f32, false, index_type::i64));
  expect_bits_of_the_cpu(large_forward(dtype::f16, true, index_type::i32));
}

}  // namespace
}  // namespace warpbag::cuda_test
