// SPDX-License-Identifier: Apache-2.0
#pragma once
// Another file has other ids for the same tokens, since ids are given by order of appearance. This
// gives its samples the ids that a model was trained with.

#include <cstdint>
#include <span>
#include <vector>

#include "warpbag/dataset.hpp"

namespace warpbag::data {

struct renumbered_dataset {
  dataset samples;
  std::vector<std::int64_t> cold_lookups;  ///< of each feature
};

/// `samples` with the features and tables of a model, in the model's order. An id that stands for a
/// token becomes the id of that token in the model's table. A token that the model's table lacks is
/// cold: it is dropped from its bag, with its weight, so a bag of cold tokens alone is empty, and
/// every time that a sample looks one up is counted in cold_lookups. Renumbered features are
/// multi-hot, as a bag that had one id may now have none. Ids that are computed (buckets, the
/// generator) mean the same everywhere and stay.
/// Throws invalid_argument, naming the feature or table, for a feature that only one side has, or a
/// table whose ids stand for tokens on one side only.
renumbered_dataset renumber(dataset samples, std::span<const dataset_table> tables,
                            std::span<const dataset_feature> features);

}  // namespace warpbag::data
