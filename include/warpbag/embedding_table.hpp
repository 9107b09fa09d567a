// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "warpbag/optimizer.hpp"
#include "warpbag/tensor_view.hpp"

namespace warpbag {

/// First values of a table: normal with standard deviation `scale` (default 1 / sqrt(dim)), uniform
/// in (-scale, scale) (default 1 / sqrt(num_embeddings)), or zero. Keyed by (seed, table, row,
/// column), so they do not depend on the device.
enum class initialization : std::uint8_t { normal, uniform, zero };

/// A table that a collection makes. Option names are torch.nn.EmbeddingBag's.
struct table_config {
  std::string name = {};
  std::int64_t num_embeddings = 0;
  std::int64_t embedding_dim = 0;
  dtype type = dtype::f32;
  std::optional<std::int64_t> padding_idx = std::nullopt;
  std::optional<float> max_norm = std::nullopt;
  float norm_type = 2.0F;
  bool scale_grad_by_freq = false;
  bool freeze = false;
  initialization init = initialization::normal;
  std::optional<float> init_scale = std::nullopt;
  optimizer_options optimizer = {};
  /// Optional first values on the host, [num_embeddings, embedding_dim] (torch: from_pretrained,
  /// whose freeze is true by default), contiguous and of `type`. Copied; the padding row is kept as
  /// given. See from_pretrained().
  const_tensor_view pretrained = {};
};

/// A table with given first values. @param weight on the host, copied when the collection is made.
WARPBAG_EXPORT table_config from_pretrained(std::string name, const_tensor_view weight,
                                            bool freeze = true);

}  // namespace warpbag
