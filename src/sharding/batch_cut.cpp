// SPDX-License-Identifier: Apache-2.0
#include "sharding/batch_cut.hpp"

#include <algorithm>

namespace warpbag::sharding {

sample_range batch_cut::samples_in(int rank, std::int32_t slice) const {
  const std::int64_t first = first_sample(rank);
  const std::int64_t begin = std::max(first_sample_of_slice(slice, batch()), first);
  const std::int64_t end =
      std::min(first_sample_of_slice(slice + 1, batch()), first_sample(rank + 1));
  if (begin >= end) return {};
  return {begin - first, end - first};
}

subtree_cut batch_cut::subtrees_of(int rank) const {
  subtree_cut cut;
  cut.subtree_of_slice.fill(-1);
  for (const owned_subtree& subtree : owners_.subtrees[static_cast<std::size_t>(rank)]) {
    if (owners_.is_cut[static_cast<std::size_t>(subtree.first_slice)]) continue;  // summed apart
    std::fill_n(cut.subtree_of_slice.begin() + subtree.first_slice, subtree.num_slices,
                static_cast<std::int8_t>(cut.first_slices.size()));
    cut.first_slices.push_back(subtree.first_slice);
  }
  return cut;
}

cut_slice batch_cut::cut_of(int rank, cut_side side) const {
  if (first_sample(rank) == first_sample(rank + 1)) return {-1, -1};
  const std::int32_t first = numerics::slice_of(first_sample(rank), batch());
  const std::int32_t slice =
      side == cut_side::before ? first : numerics::slice_of(first_sample(rank + 1) - 1, batch());
  const auto s = static_cast<std::size_t>(slice);
  if ((side == cut_side::after && slice == first) || !owners_.is_cut[s]) return {-1, -1};
  return {slice, owners_.owner[s]};
}

std::int32_t batch_cut::home_slice(int rank, cut_side side) const {
  const cut_slice cut = cut_of(rank, side);
  return cut.home == rank ? cut.slice : -1;
}

}  // namespace warpbag::sharding
