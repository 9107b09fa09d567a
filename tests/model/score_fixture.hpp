// SPDX-License-Identifier: Apache-2.0
#pragma once
// A batch of pooled vectors, scored on a device.

#include <cstring>
#include <random>
#include <vector>

#include "model/model_device.hpp"

namespace warpbag::model {

struct score_inputs {
  std::int64_t batch = 0;
  std::int32_t num_features = 0;
  std::int32_t dim = 0;
  std::int64_t stride = 0;
  std::vector<float> pooled;  // [batch, stride]
  std::vector<float> labels;
};

struct score_outputs {
  std::vector<float> logits;
  std::vector<float> losses;
  std::vector<float> gradients;  // [batch, stride]
};

inline score_inputs random_score_inputs(std::int64_t batch, std::int32_t num_features,
                                        std::int32_t dim, unsigned seed) {
  score_inputs inputs{batch, num_features, dim, 0, {}, {}};
  const std::int64_t width = std::int64_t{num_features} * (dim + 1) + 1;
  inputs.stride = (width + 3) / 4 * 4;
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> element(-1.0F, 1.0F);
  inputs.pooled.resize(static_cast<std::size_t>(batch * inputs.stride));
  for (float& value : inputs.pooled) value = element(random);
  for (std::int64_t i = 0; i < batch; ++i) {
    inputs.labels.push_back(static_cast<float>(random() % 2));
  }
  return inputs;
}

inline score_outputs score_on(model_device& device, const score_inputs& inputs) {
  const auto batch = static_cast<std::size_t>(inputs.batch);
  const std::size_t elements = inputs.pooled.size();
  // One block: pooled, labels, then the results.
  const auto block = device.make_twin_memory((2 * elements + 3 * batch) * sizeof(float));
  auto* const host = reinterpret_cast<float*>(block->host());
  auto* const on_device = reinterpret_cast<float*>(block->device());
  std::memset(host, 0, (2 * elements + 3 * batch) * sizeof(float));
  std::memcpy(host, inputs.pooled.data(), elements * sizeof(float));
  std::memcpy(host + 2 * elements, inputs.labels.data(), batch * sizeof(float));
  block->copy_to_device((2 * elements + 3 * batch) * sizeof(float));

  score_job job;
  job.pooled = on_device;
  job.gradients = on_device + elements;
  job.labels = on_device + 2 * elements;
  job.logits = on_device + 2 * elements + batch;
  job.losses = on_device + 2 * elements + 2 * batch;
  job.batch = inputs.batch;
  job.mean_over = inputs.batch;
  job.stride = inputs.stride;
  job.num_features = inputs.num_features;
  job.dim = inputs.dim;
  device.score(job);
  block->copy_to_host((2 * elements + 3 * batch) * sizeof(float));
  block->wait();

  score_outputs outputs;
  outputs.gradients.assign(host + elements, host + 2 * elements);
  outputs.logits.assign(host + 2 * elements + batch, host + 2 * elements + 2 * batch);
  outputs.losses.assign(host + 2 * elements + 2 * batch, host + 2 * elements + 3 * batch);
  return outputs;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace warpbag::model
