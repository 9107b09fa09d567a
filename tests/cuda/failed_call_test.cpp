// SPDX-License-Identifier: Apache-2.0
// Calls of the CUDA runtime that fail in the middle of an operation.

#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/small_model.hpp"
#include "cudasim/src/runtime/cudasim.h"
#include "warpbag/error.hpp"

namespace warpbag::cuda_test {
namespace {

/// Sparse gradients of eight rows of 128 columns, one of which has most of the lookups: enough for
/// its sum to be made of pieces and of sums of these.
class hot_row {
 public:
  explicit hot_row(support::test_device& device)
      : ids_(device, skewed_ids()),
        gradient_(device, ramp(num_lookups * dim)),
        values_(device, std::vector<float>(num_rows * dim)),
        rows_(device, std::vector<std::int64_t>(num_rows)),
        count_(device, std::vector<std::int64_t>(1)) {
    table_.num_rows = num_rows;
    table_.dim = dim;
    table_.row_stride = dim;
    table_.gradient = {operations::gradient_form::sparse,
                       dtype::f32,
                       values_.data(),
                       rows_.data(),
                       count_.data(),
                       num_rows};
    feature_.ids = ids_.data();
    feature_.num_ids = feature_.num_bags = feature_.batch = num_lookups;
    feature_.hotness = 1;
    feature_.gradient = gradient_.data();
    feature_.gradient_stride = dim;
  }
  operations::problem problem() const {
    operations::problem all;
    all.tables = {&table_, 1};
    all.features = {&feature_, 1};
    all.total_rows = num_rows;
    all.total_positions = all.total_bags = num_lookups;
    return all;
  }
  std::vector<float> sums() { return values_.values(); }

 private:
  static constexpr std::int64_t num_rows = 8;
  static constexpr std::int32_t dim = 128;
  static constexpr std::int64_t num_lookups = 20'000;

  static std::vector<std::int64_t> skewed_ids() {
    std::vector<std::int64_t> ids(num_lookups, 5);
    for (std::size_t i = 0; i < ids.size(); i += 7) ids[i] = static_cast<std::int64_t>(i) % 8;
    return ids;
  }
  static std::vector<float> ramp(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 0.1F + 1e-3F * static_cast<float>(i % 1000);
    return values;
  }

  support::device_array<std::int64_t> ids_;
  support::device_array<float> gradient_;
  support::device_array<float> values_;
  support::device_array<std::int64_t> rows_;
  support::device_array<std::int64_t> count_;
  operations::table_record table_;
  operations::feature_record feature_;
};

TEST(CudaFailedCall, leaves_nothing_that_the_next_gradients_trip_over) {
  const auto fail_call = CUDASIM_FIND(cudasim_fail_call);
  if (fail_call == nullptr) GTEST_SKIP() << "no simulator here";
  const std::unique_ptr<support::test_device> device = make_device();
  const std::unique_ptr<operations::backend> backend = device->make_backend();
  hot_row model(*device);
  const operations::problem problem = model.problem();
  backend->reserve(support::limits_of(problem));
  backend->check_inputs(problem);
  backend->deduplicate(problem);
  backend->reduce_gradients(problem);
  const std::vector<float> expected = model.sums();
  EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 1000.0F);
  const auto fails = [&](unsigned long long k) {
    fail_call(k, cudaErrorUnknown, 0);
    bool failed = false;
    try {
      backend->reduce_gradients(problem);
    } catch (const cuda_error&) {
      failed = true;
    }
    fail_call(0, cudaSuccess, 0);
    return failed;
  };
  // Twice each: the work lists have room for what one failure leaves in them.
  unsigned long long failures = 0;
  while (fails(failures + 1) && fails(failures + 1)) {
    ++failures;
    backend->reduce_gradients(problem);
    ASSERT_EQ(model.sums(), expected) << "after failures of call " << failures;
  }
  EXPECT_GE(failures, 4U);  // its launches at least
}

}  // namespace
}  // namespace warpbag::cuda_test
