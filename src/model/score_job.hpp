// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace warpbag::model {

/// The scoring of a batch, or of one rank's part of it. Pointers are into memory of the device.
struct score_job {
  /// [batch, stride]: num_features vectors of `dim`, num_features first-order weights, the bias.
  const float* pooled = nullptr;
  /// Derivatives of the mean loss of `mean_over` samples, laid out as `pooled`; nullptr: not
  /// wanted.
  float* gradients = nullptr;
  const float* labels = nullptr;  // [batch], 0 or 1
  float* logits = nullptr;        // [batch]
  float* losses = nullptr;        // [batch]
  std::int64_t batch = 0;
  std::int64_t mean_over = 0;  // samples of the whole batch, on all ranks
  std::int64_t stride = 0;
  std::int32_t num_features = 0;
  std::int32_t dim = 0;
};

}  // namespace warpbag::model
