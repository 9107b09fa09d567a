// SPDX-License-Identifier: Apache-2.0
// Copies between the host and a device, and within it.

#include "operations/device_access.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>
#include <vector>

#include "support/test_device.hpp"

namespace warpbag {
namespace {

class DeviceAccess : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    resources resources = device_->get_resources();
    resources.memory = &default_memory_resource(resources.where);
    access_ = resources.where.kind == device_kind::cpu
                  ? operations::make_cpu_device_access(resources)
                  : operations::make_cuda_device_access(resources);
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::device_access> access_;
};

std::vector<float> numbers(std::size_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_P(DeviceAccess, bytes_go_there_across_and_back) {
  const std::vector<float> sent = numbers(1000, 0.5F);
  const std::size_t bytes = sent.size() * sizeof(float);
  void* const one = access_->allocate(bytes);
  void* const other = access_->allocate(bytes);
  access_->write(one, sent.data(), bytes);
  access_->copy(other, one, bytes);
  std::vector<float> received(sent.size());
  access_->read(received.data(), other, bytes);
  EXPECT_EQ(received, sent);
  access_->write(one, nullptr, 0);
  access_->copy(one, other, 0);
  access_->read(nullptr, one, 0);
  access_->deallocate(one, bytes);
  access_->deallocate(other, bytes);
}

TEST_P(DeviceAccess, rows_are_copied_without_the_gaps_between_them) {
  const std::int64_t rows = 9;
  const std::int64_t dim = 5;
  for (const auto& [from_stride, to_stride] :
       {std::pair<std::int64_t, std::int64_t>{5, 5}, {7, 5}, {5, 8}, {7, 7}, {6, 8}}) {
    // The gap behind the last row is not part of either matrix.
    const auto from_count = static_cast<std::size_t>((rows - 1) * from_stride + dim);
    const auto to_count = static_cast<std::size_t>((rows - 1) * to_stride + dim);
    const std::vector<float> source = numbers(from_count, 1.0F);
    std::vector<float> expected(to_count, -1.0F);
    void* const from = access_->allocate(from_count * sizeof(float));
    void* const to = access_->allocate(to_count * sizeof(float));
    access_->write(from, source.data(), from_count * sizeof(float));
    access_->write(to, expected.data(), to_count * sizeof(float));
    access_->copy_rows({to, dtype::f32, rows, dim, to_stride},
                       {from, dtype::f32, rows, dim, from_stride});
    std::vector<float> received(to_count);
    access_->read(received.data(), to, to_count * sizeof(float));
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < dim; ++column) {
        expected[static_cast<std::size_t>(row * to_stride + column)] =
            source[static_cast<std::size_t>(row * from_stride + column)];
      }
    }
    EXPECT_EQ(received, expected) << from_stride << " to " << to_stride;
    access_->deallocate(from, from_count * sizeof(float));
    access_->deallocate(to, to_count * sizeof(float));
  }
}

WARPBAG_FOR_EVERY_BACKEND(DeviceAccess);

}  // namespace
}  // namespace warpbag
