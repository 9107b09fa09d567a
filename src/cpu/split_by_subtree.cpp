// SPDX-License-Identifier: Apache-2.0
#include "cpu/backend.hpp"

namespace warpbag::cpu {

using operations::subtree_record;

namespace {

/// The lookups of the bags of one chunk of the feature.
template <typename Index>
void split_chunk(const feature_record& feature, const subtree_record& to, std::int64_t chunk) {
  const bag_positions<Index> bags(feature);
  const auto* const compact_ids = static_cast<const Index*>(feature.ids);
  auto* const split_ids = static_cast<Index*>(to.ids);
  const bag_range range = bags_of_chunk<Index>(feature, chunk);
  for (std::int64_t bag = range.first; bag < range.last; ++bag) {
    const std::int32_t slice = numerics::slice_of(feature.first_sample + bag, feature.batch);
    const std::int64_t end = bags.end(bag);
    for (std::int64_t i = bags.begin(bag); i < end; ++i) {
      split_ids[i] = static_cast<Index>(operations::split_id(to, compact_ids[i], slice));
    }
  }
}

}  // namespace

void cpu_backend::split_by_subtree(const problem& problem,
                                   std::span<const subtree_record> features) {
  for_each_chunk(
      features.size(),
      [&](std::size_t f) {
        return features[f].ids == nullptr ? 0 : chunks_of(problem.features[f]);
      },
      [&](std::size_t f, std::int64_t chunk, int) {
        with_index_type(problem.ids_type, [&]<typename Index>(Index) {
          split_chunk<Index>(problem.features[f], features[f], chunk);
        });
      });
}

}  // namespace warpbag::cpu
