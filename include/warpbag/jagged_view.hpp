// SPDX-License-Identifier: Apache-2.0
#pragma once
// The bags of one feature in one batch.

#include <cstdint>

#include "warpbag/tensor_view.hpp"

namespace warpbag {

/// Bag b of a feature holds ids[begin(b)], ..., ids[end(b) - 1], in this order:
///   fixed hotness L:     begin(b) = b * L, end(b) = begin(b) + L           (torch: 2-D input)
///   offsets [num_bags]:  begin(b) = offsets[b], the last bag ends at ids.size   (torch:
///   include_last_offset=False) offsets [num_bags+1]: end(b) = offsets[b + 1]; ids beyond the last
///   offset belong to no bag (include_last_offset=True)
/// offsets[0] must be 0 and offsets must not decrease. Ids and offsets have the same type. All
/// memory is on the device of the call and is never written. The size of `ids` is a capacity when
/// the last offset is included, so that a captured CUDA graph can be replayed with fewer ids than
/// it was captured with.
struct jagged_view {
  index_view ids = {};
  index_view offsets = {};  ///< size 0: fixed hotness
  std::int64_t num_bags = 0;
  std::int64_t hotness = 0;  ///< ids per bag when there are no offsets
  bool include_last_offset = false;
  const float* weights = nullptr;  ///< per_sample_weights [ids.size] or nullptr (every weight is 1)

  static constexpr jagged_view fixed(index_view ids, std::int64_t num_bags, std::int64_t hotness,
                                     const float* weights = nullptr) {
    return {ids, index_view(nullptr, ids.type, 0), num_bags, hotness, false, weights};
  }

  static constexpr jagged_view csr(index_view ids, index_view offsets, bool include_last_offset,
                                   const float* weights = nullptr) {
    const std::int64_t bags = include_last_offset ? offsets.size - 1 : offsets.size;
    return {ids, offsets, bags, 0, include_last_offset, weights};
  }
};

}  // namespace warpbag
