// SPDX-License-Identifier: Apache-2.0
// The radix sort behind deduplicate: keys of every width, counts around the edges of its tiles.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "cuda/small_model.hpp"

namespace warpbag::cuda_test {
namespace {

/// Tables of the same size with a feature each, which have the same number of ids, one a bag. Rows
/// are not read, so a table may be of any size.
class tables {
 public:
  tables(support::test_device& device, std::size_t num_tables, std::int64_t num_rows,
         const std::vector<std::int64_t>& ids)
      : ids_(device, ids), tables_(num_tables), features_(num_tables) {
    const auto num_ids = static_cast<std::int64_t>(ids.size() / num_tables);
    for (std::size_t t = 0; t < num_tables; ++t) {
      const auto number = static_cast<std::int64_t>(t);
      tables_[t].num_rows = num_rows;
      tables_[t].dim = 1;
      tables_[t].first_row = number * num_rows;
      operations::feature_record& feature = features_[t];
      feature.table = static_cast<std::int32_t>(t);
      feature.first_position = feature.first_bag = number * num_ids;
      feature.ids = ids_.data() + feature.first_position;
      feature.num_ids = feature.num_bags = num_ids;
      feature.hotness = 1;
    }
  }
  operations::problem problem() const {
    operations::problem all;
    all.tables = tables_;
    all.features = features_;
    all.total_rows = std::ssize(tables_) * tables_[0].num_rows;
    all.total_positions = all.total_bags = ids_.size();
    return all;
  }

 private:
  support::device_array<std::int64_t> ids_;
  std::vector<operations::table_record> tables_;
  std::vector<operations::feature_record> features_;
};

operations::occurrences sorted_by_library(const std::vector<std::int64_t>& rows) {
  operations::occurrences expected;
  expected.positions.resize(rows.size());
  std::iota(expected.positions.begin(), expected.positions.end(), std::int64_t{0});
  const auto row_at = [&](std::int64_t i) { return rows[static_cast<std::size_t>(i)]; };
  std::stable_sort(expected.positions.begin(), expected.positions.end(),
                   [&](auto a, auto b) { return row_at(a) < row_at(b); });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t row = row_at(expected.positions[i]);
    if (!expected.rows.empty() && expected.rows.back() == row) continue;
    expected.rows.push_back(row);
    expected.run_begins.push_back(static_cast<std::int64_t>(i));
  }
  expected.run_begins.push_back(static_cast<std::int64_t>(rows.size()));
  return expected;
}

void expect_sorted(std::int64_t num_rows, const std::vector<std::int64_t>& ids,
                   std::size_t num_tables = 1) {
  SCOPED_TRACE(testing::Message() << ids.size() << " ids below " << num_rows << " of each of "
                                  << num_tables << " tables");
  const std::unique_ptr<support::test_device> device = make_device();
  const std::unique_ptr<operations::backend> backend = device->make_backend();
  const tables all(*device, num_tables, num_rows, ids);
  backend->reserve(support::limits_of(all.problem()));
  std::vector<std::int64_t> rows = ids;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] += static_cast<std::int64_t>(i / (rows.size() / num_tables)) * num_rows;
  }
  const operations::occurrences expected = sorted_by_library(rows);
  for (int time = 0; time < 2; ++time) {  // the second finds the scratch that the first has left
    backend->check_inputs(all.problem());
    backend->deduplicate(all.problem());
    const operations::occurrences found = backend->copy_occurrences(all.problem());
    EXPECT_EQ(found.rows, expected.rows);
    EXPECT_EQ(found.run_begins, expected.run_begins);
    EXPECT_EQ(found.positions, expected.positions);
  }
}

/// Half of them anywhere, half near the largest.
std::vector<std::int64_t> random_ids(std::int64_t num_rows, std::size_t count) {
  std::mt19937_64 random(count);
  std::uniform_int_distribution<std::int64_t> anywhere(0, num_rows - 1);
  std::uniform_int_distribution<std::int64_t> last(std::max<std::int64_t>(num_rows - 40, 0),
                                                   num_rows - 1);
  std::vector<std::int64_t> ids(count);
  for (std::int64_t& id : ids) id = random() % 2 == 0 ? anywhere(random) : last(random);
  return ids;
}

TEST(CudaSort, sorts_keys_of_every_width) {
  // Of 1, 8, 9, 12, 17, 20, 24, 30, 31 and 32 bits, and 33 and 47 in 64.
  for (const std::int64_t num_rows :
       {1LL, 255LL, 256LL, 4095LL, 100'000LL, (1LL << 20) - 1, (1LL << 24) - 1, (1LL << 30) - 1,
        1LL << 30, (1LL << 32) - 2, (1LL << 32) - 1, 100'000'000'000'000LL}) {
    expect_sorted(num_rows, random_ids(num_rows, 5000));
  }
}

TEST(CudaSort, sorts_counts_around_the_edges_of_tiles) {
  for (const std::size_t count :
       {1U, 31U, 33U, 2047U, 2049U, 4095U, 4096U, 4097U, 8192U, 20'000U}) {
    expect_sorted(500'000, random_ids(500'000, count));
  }
}

TEST(CudaSort, keeps_the_order_of_equal_keys) {
  expect_sorted(500'000, std::vector<std::int64_t>(10'000, 499'999));
  expect_sorted(1'000'000'000'000, std::vector<std::int64_t>(10'000, 999'999'999'999));
}

TEST(CudaSort, takes_records_of_more_tables_than_one_launch_has_room_for) {
  const std::size_t words =
      (sizeof(operations::table_record) + sizeof(operations::feature_record)) /
      sizeof(std::uint64_t);
  for (const std::size_t num_tables : {500 / words + 1, 4000 / words + 1}) {
    expect_sorted(7, random_ids(7, 3 * num_tables), num_tables);
  }
}

}  // namespace
}  // namespace warpbag::cuda_test
