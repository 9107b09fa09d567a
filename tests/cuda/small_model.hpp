// SPDX-License-Identifier: Apache-2.0
#pragma once
// Two tables and two features in device memory whose contents a test changes in place, as the
// inputs of a captured graph are: feature 0 has CSR bags with the last offset (so that a batch may
// have fewer ids than the buffer holds) in mode mean, feature 1 has fixed hotness in mode sum.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <random>
#include <vector>

#include "support/device_array.hpp"

namespace warpbag::cuda_test {

inline constexpr std::int64_t num_bags = 6;
inline constexpr std::int64_t max_ids = 24;
inline constexpr std::int64_t hotness = 3;
inline constexpr std::int64_t num_rows[2] = {40, 9};
inline constexpr std::int32_t dims[2] = {20, 132};

struct batch {
  std::vector<std::int64_t> ids[2];
  std::vector<std::int64_t> offsets;
  std::vector<float> gradient[2];
  float learning_rate = 0.0F;
};

inline std::vector<float> random_values(std::mt19937& random, std::int64_t count) {
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}

inline batch random_batch(unsigned seed) {
  std::mt19937 random(seed);
  batch drawn;
  const std::int64_t num_ids[2] = {max_ids, num_bags * hotness};
  for (int f = 0; f < 2; ++f) {
    std::uniform_int_distribution<std::int64_t> row(0, num_rows[f] - 1);
    for (std::int64_t i = 0; i < num_ids[f]; ++i) drawn.ids[f].push_back(row(random));
    drawn.gradient[f] = random_values(random, num_bags * dims[f]);
  }
  drawn.offsets = {0};
  std::uniform_int_distribution<std::int64_t> length(0, max_ids / num_bags);
  for (std::int64_t b = 0; b < num_bags; ++b) {
    drawn.offsets.push_back(drawn.offsets.back() + length(random));
  }
  drawn.learning_rate = std::uniform_real_distribution<float>(0.01F, 0.5F)(random);
  return drawn;
}

class small_model {
 public:
  explicit small_model(support::test_device& device)
      : small_model(device, random_batch(0), std::mt19937(1)) {}

  /// Waits for earlier work before it overwrites its inputs.
  void set(const batch& next) {
    for (int f = 0; f < 2; ++f) {
      overwrite(ids_[f], next.ids[f]);
      overwrite(gradient_[f], next.gradient[f]);
    }
    overwrite(offsets_, next.offsets);
    for (int t = 0; t < 2; ++t) {
      step_state state = step_[t].values().front();
      state.learning_rate = next.learning_rate;
      overwrite(step_[t], std::vector<step_state>{state});
    }
  }

  operations::problem problem() const {
    operations::problem all;
    all.tables = tables_;
    all.features = features_;
    all.total_rows = num_rows[0] + num_rows[1];
    all.total_positions = max_ids + num_bags * hotness;
    all.total_bags = 2 * num_bags;
    return all;
  }

  /// All that a step may write.
  std::vector<std::vector<float>> written() {
    return {rows_[0].values(),  rows_[1].values(),   state_[0].values(),
            state_[1].values(), output_[0].values(), output_[1].values()};
  }
  std::uint64_t steps(int table) { return step_[table].values().front().step; }

 private:
  small_model(support::test_device& device, const batch& first, std::mt19937 random)
      : stream_(device.get_resources().stream),
        rows_{{device, random_values(random, num_rows[0] * dims[0])},
              {device, random_values(random, num_rows[1] * dims[1])}},
        state_{{device, std::vector<float>(num_rows[0])},
               {device, std::vector<float>(num_rows[1] * dims[1])}},
        step_{{device, {step_state{}}}, {device, {step_state{}}}},
        ids_{{device, first.ids[0]}, {device, first.ids[1]}},
        offsets_(device, first.offsets),
        gradient_{{device, first.gradient[0]}, {device, first.gradient[1]}},
        output_{{device, std::vector<float>(num_bags * dims[0])},
                {device, std::vector<float>(num_bags * dims[1])}},
        tables_(2),
        features_(2) {
    for (int i = 0; i < 2; ++i) set_records(i);
    tables_[0].optimizer.kind = optimizer_kind::rowwise_adagrad;
    tables_[0].renormalize = true;
    tables_[0].max_norm = 1.5F;
    tables_[1].optimizer.kind = optimizer_kind::adagrad;
    tables_[1].first_row = num_rows[0];
    features_[0].mode = pooling_mode::mean;
    features_[0].offsets = offsets_.data();
    features_[0].has_last_offset = true;
    features_[1].hotness = hotness;
    features_[1].first_position = max_ids;
    features_[1].first_bag = num_bags;
  }

  void set_records(int i) {
    const auto at = static_cast<std::size_t>(i);
    operations::table_record& table = tables_[at];
    table.rows = rows_[i].data();
    table.num_rows = num_rows[i];
    table.dim = dims[i];
    table.row_stride = dims[i];
    table.state[0] = state_[i].data();
    table.step = step_[i].data();
    table.gradient.form = operations::gradient_form::fused;
    operations::feature_record& feature = features_[at];
    feature.table = i;
    feature.ids = ids_[i].data();
    feature.num_ids = ids_[i].size();
    feature.num_bags = num_bags;
    feature.batch = num_bags;
    feature.output = output_[i].data();
    feature.output_stride = dims[i];
    feature.gradient = gradient_[i].data();
    feature.gradient_stride = dims[i];
  }

  template <typename Element>
  void overwrite(const support::device_array<Element>& array, const std::vector<Element>& values) {
    ASSERT_EQ(values.size() * sizeof(Element), array.bytes());
    ASSERT_EQ(cudaMemcpyAsync(array.data(), values.data(), array.bytes(), cudaMemcpyHostToDevice,
                              stream_),
              cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  }

  cudaStream_t stream_;
  support::device_array<float> rows_[2];
  support::device_array<float> state_[2];
  support::device_array<step_state> step_[2];
  support::device_array<std::int64_t> ids_[2];
  support::device_array<std::int64_t> offsets_;
  support::device_array<float> gradient_[2];
  support::device_array<float> output_[2];
  std::vector<operations::table_record> tables_;
  std::vector<operations::feature_record> features_;
};

inline std::unique_ptr<support::test_device> make_device() {
  return support::backends_under_test().front().make_device();
}

}  // namespace warpbag::cuda_test
