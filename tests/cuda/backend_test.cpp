// SPDX-License-Identifier: Apache-2.0
// What only a backend on a device has: bad batches that cannot throw, streams, allocation.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/small_model.hpp"
#include "support/failing_resource.hpp"

namespace warpbag::cuda_test {
namespace {

constexpr std::int64_t trillion = 1'000'000'000'000;

class CudaBackend : public ::testing::Test {
 protected:
  CudaBackend() { backend_->reserve(support::limits_of(model_.problem())); }

  void step(const batch& next) {
    model_.set(next);
    support::run_step(*backend_, model_.problem());
  }

  /// A bad batch must name its first offender and change nothing.
  void expect_fault(const batch& bad, operations::input_fault fault, std::int32_t feature,
                    std::int64_t bag, std::int64_t position, std::int64_t value) {
    backend_->clear_status();
    const auto before = model_.written();
    step(bad);
    const operations::input_status status = backend_->status();
    EXPECT_EQ(status.first_fault, fault);
    EXPECT_EQ(status.where.feature, feature);
    EXPECT_EQ(status.where.table, feature);
    EXPECT_EQ(status.where.bag, bag);
    EXPECT_EQ(status.where.position, position);
    EXPECT_EQ(status.where.value, value);
    EXPECT_EQ(model_.written(), before);
    EXPECT_EQ(model_.steps(0), 0U);
    EXPECT_TRUE(backend_->copy_occurrences(model_.problem()).rows.empty());
  }

  std::unique_ptr<support::test_device> device_ = make_device();
  std::unique_ptr<operations::backend> backend_ = device_->make_backend();
  small_model model_{*device_};
};

TEST_F(CudaBackend, names_the_first_bad_id_and_writes_nothing) {
  batch bad = random_batch(1);
  bad.offsets = {0, 4, 8, 12, 16, 20, 24};
  bad.ids[0][23] = -1;
  bad.ids[1][0] = trillion;
  expect_fault(bad, operations::input_fault::id, 0, 5, 23, -1);
  bad.ids[0][5] = num_rows[0];
  expect_fault(bad, operations::input_fault::id, 0, 1, 5, num_rows[0]);
  bad = random_batch(2);
  bad.ids[1][17] = trillion;
  expect_fault(bad, operations::input_fault::id, 1, 5, 17, trillion);
}

TEST_F(CudaBackend, survives_offsets_of_any_value_and_names_the_first_bad_one) {
  batch bad = random_batch(1);
  const auto expect_offset = [&](std::vector<std::int64_t> offsets, std::int64_t index) {
    bad.offsets = std::move(offsets);
    bad.ids[0][0] = -7;  // offsets come before ids
    expect_fault(bad, operations::input_fault::offset, 0, index, -1,
                 bad.offsets[static_cast<std::size_t>(index)]);
  };
  expect_offset({1, 4, 8, 12, 16, 20, 24}, 0);
  expect_offset({-trillion, 4, 8, 12, 16, 20, 24}, 0);
  expect_offset({0, trillion, 8, 12, 16, 20, 24}, 1);
  expect_offset({0, 4, 3, 12, 16, 20, 24}, 2);
  expect_offset({0, 4, -trillion, trillion, -1, 20, 24}, 2);
  expect_offset({0, 4, 8, 12, 16, 20, max_ids + 1}, 6);
  expect_offset({0, 4, 8, 12, 16, 20, -trillion}, 6);
}

TEST_F(CudaBackend, does_not_read_ids_beyond_the_last_offset) {
  batch good = random_batch(1);
  good.offsets = {0, 1, 2, 3, 4, 5, 6};
  good.ids[0][6] = trillion;
  step(good);
  EXPECT_EQ(backend_->status().first_fault, operations::input_fault::none);
  EXPECT_EQ(model_.steps(0), 1U);
}

TEST_F(CudaBackend, sorts_rows_whose_numbers_need_more_than_32_bits) {
  constexpr std::int64_t many = 3'000'000'000'000;
  const operations::problem small = model_.problem();
  std::vector<operations::table_record> tables(small.tables.begin(), small.tables.end());
  tables[0].num_rows = many;  // deduplicate does not read rows
  tables[1].first_row = many;
  operations::problem large = small;
  large.tables = tables;
  large.total_rows = many + num_rows[1];
  batch spread = random_batch(1);
  spread.offsets = {0, 0, 0, 0, 0, 0, 5};
  std::copy_n(std::vector<std::int64_t>{many - 1, 1, many - (std::int64_t{1} << 32), 1, 2}.begin(),
              5, spread.ids[0].begin());
  spread.ids[1].assign(spread.ids[1].size(), num_rows[1] - 1);
  model_.set(spread);
  backend_->reserve(support::limits_of(large));
  backend_->check_inputs(large);
  backend_->deduplicate(large);
  const operations::occurrences found = backend_->copy_occurrences(large);
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{1, 2, many - (std::int64_t{1} << 32), many - 1,
                                                   many + num_rows[1] - 1}));
  EXPECT_EQ(found.run_begins, (std::vector<std::int64_t>{0, 2, 3, 4, 5, 5 + num_bags * hotness}));
  EXPECT_EQ(std::vector<std::int64_t>(found.positions.begin(), found.positions.begin() + 6),
            (std::vector<std::int64_t>{1, 3, 4, 2, 0, max_ids}));
}

TEST_F(CudaBackend, keeps_the_first_fault_until_it_is_cleared) {
  batch bad = random_batch(1);
  bad.ids[1][3] = -3;
  step(bad);
  bad.ids[1][3] = 0;
  bad.ids[1][1] = -1;
  step(bad);
  EXPECT_EQ(backend_->status().where.value, -3);
  step(random_batch(2));
  EXPECT_EQ(backend_->status().where.value, -3);
  EXPECT_EQ(model_.steps(0), 1U);
  backend_->clear_status();
  EXPECT_EQ(backend_->status().first_fault, operations::input_fault::none);
}

TEST_F(CudaBackend, counts_bad_ids_of_good_batches_only) {
  batch skipping = random_batch(1);
  skipping.ids[1][2] = -1;
  skipping.ids[1][5] = trillion;
  model_.set(skipping);
  operations::problem problem = model_.problem();
  problem.policy = bad_id_policy::skip;
  support::run_step(*backend_, problem);
  EXPECT_EQ(backend_->status().bad_ids, 2);
  skipping.offsets[1] = -1;
  model_.set(skipping);
  support::run_step(*backend_, problem);
  EXPECT_EQ(backend_->status().bad_ids, 2);
  EXPECT_EQ(backend_->status().first_fault, operations::input_fault::offset);
}

TEST_F(CudaBackend, serves_the_old_limits_after_a_failed_reserve) {
  const resources plain = device_->get_resources();
  support::failing_resource memory(default_memory_resource(plain.where));
  resources failing = plain;
  failing.memory = &memory;
  {
    const auto backend = operations::make_cuda_backend(failing);
    operations::problem_limits limits = support::limits_of(model_.problem());
    backend->reserve(limits);
    const std::size_t held = memory.live_bytes();
    limits.positions *= 1000;
    memory.fail_at(1);
    EXPECT_THROW(backend->reserve(limits), bad_allocation);
    EXPECT_EQ(memory.live_bytes(), held);
    model_.set(random_batch(1));
    support::run_step(*backend, model_.problem());
    EXPECT_EQ(model_.steps(0), 1U);
    backend->reserve(limits);
    EXPECT_GT(memory.live_bytes(), held);
  }
  EXPECT_EQ(memory.live_blocks(), 0U);
}

TEST_F(CudaBackend, allocates_nothing_in_a_step) {
  const resources plain = device_->get_resources();
  support::failing_resource memory(default_memory_resource(plain.where));
  resources failing = plain;
  failing.memory = &memory;
  const auto backend = operations::make_cuda_backend(failing);
  backend->reserve(support::limits_of(model_.problem()));
  memory.fail_at(1, true);
  model_.set(random_batch(1));
  EXPECT_NO_THROW(support::run_step(*backend, model_.problem()));
  EXPECT_EQ(model_.steps(0), 1U);
}

TEST_F(CudaBackend, refuses_a_batch_over_its_limits) {
  operations::problem larger = model_.problem();
  larger.total_positions += 1;
  EXPECT_THROW(backend_->check_inputs(larger), invalid_argument);
}

TEST(CudaBackendCreation, refuses_the_legacy_default_stream) {
  const auto device = make_device();
  resources resources = device->get_resources();
  resources.stream = nullptr;
  EXPECT_THROW(operations::make_cuda_backend(resources), invalid_argument);
  resources.stream = cudaStreamLegacy;
  EXPECT_THROW(operations::make_cuda_backend(resources), invalid_argument);
}

TEST(CudaBackendCreation, says_which_device_is_not_there) {
  const auto device = make_device();
  resources resources = device->get_resources();
  for (const int ordinal : {-1, 12345}) {
    resources.where.ordinal = ordinal;
    EXPECT_THROW(operations::make_cuda_backend(resources), device_unavailable);
    EXPECT_THROW(default_memory_resource(resources.where), device_unavailable);
  }
}

}  // namespace
}  // namespace warpbag::cuda_test
