// SPDX-License-Identifier: Apache-2.0
#include "sharding/batch_cut.hpp"

#include <algorithm>

namespace warpbag::sharding {

namespace {

using numerics::num_slices;
using numerics::slices_per_node;

enum class slice_content : std::uint8_t { nothing, whole, other };

/// Gives every maximal subtree of [first, first + count) that holds whole slices, and no slice of
/// others, the next number.
void number_subtrees(const std::array<slice_content, num_slices>& slices, std::int32_t first,
                     std::int32_t count, subtree_cut& cut) {
  const auto begin = slices.begin() + first;
  const auto end = begin + count;
  if (std::find(begin, end, slice_content::whole) == end) return;
  if (std::find(begin, end, slice_content::other) == end) {
    std::fill_n(cut.subtree_of_slice.begin() + first, count,
                static_cast<std::int8_t>(cut.first_slices.size()));
    cut.first_slices.push_back(first);
    return;
  }
  const std::int32_t quarter = count / slices_per_node;
  for (int child = 0; child < slices_per_node; ++child) {
    number_subtrees(slices, first + child * quarter, quarter, cut);
  }
}

}  // namespace

batch_cut::batch_cut(std::vector<std::int64_t> sizes) : sizes_(std::move(sizes)) {
  first_sample_.push_back(0);
  for (const std::int64_t size : sizes_) first_sample_.push_back(first_sample_.back() + size);
}

/// First sample whose slice is `slice` or later: the least s with s * 64 / batch >= slice.
std::int64_t batch_cut::slice_begin(std::int64_t slice) const {
  return (slice * batch() + num_slices - 1) / num_slices;
}

sample_range batch_cut::samples_in(int rank, std::int32_t slice) const {
  const auto r = static_cast<std::size_t>(rank);
  const std::int64_t begin = std::max(slice_begin(slice), first_sample_[r]);
  const std::int64_t end = std::min(slice_begin(slice + 1), first_sample_[r + 1]);
  if (begin >= end) return {};
  return {begin - first_sample_[r], end - first_sample_[r]};
}

bool batch_cut::is_cut(int rank, std::int32_t slice) const {
  const std::int64_t own = samples_in(rank, slice).size();
  return own > 0 && own < slice_begin(slice + 1) - slice_begin(slice);
}

subtree_cut batch_cut::subtrees_of(int rank) const {
  std::array<slice_content, num_slices> slices;
  for (std::int32_t slice = 0; slice < num_slices; ++slice) {
    const std::int64_t all = slice_begin(slice + 1) - slice_begin(slice);
    const std::int64_t own = samples_in(rank, slice).size();
    slices[static_cast<std::size_t>(slice)] = all == 0     ? slice_content::nothing
                                              : own == all ? slice_content::whole
                                                           : slice_content::other;
  }
  subtree_cut cut;
  cut.subtree_of_slice.fill(-1);
  number_subtrees(slices, 0, num_slices, cut);
  return cut;
}

int batch_cut::home_of(std::int32_t slice) const {
  int home = 0;
  for (int rank = 1; rank < num_ranks(); ++rank) {
    if (samples_in(rank, slice).size() > samples_in(home, slice).size()) home = rank;
  }
  return home;
}

cut_slice batch_cut::cut_of(int rank, cut_side side) const {
  const auto r = static_cast<std::size_t>(rank);
  if (sizes_[r] == 0) return {-1, -1};
  const std::int32_t first = slice_at(first_sample_[r]);
  const std::int32_t slice = side == cut_side::before ? first : slice_at(first_sample_[r + 1] - 1);
  if ((side == cut_side::after && slice == first) || !is_cut(rank, slice)) return {-1, -1};
  return {slice, home_of(slice)};
}

std::int32_t batch_cut::home_slice(int rank, cut_side side) const {
  const cut_slice cut = cut_of(rank, side);
  return cut.home == rank ? cut.slice : -1;
}

bool batch_cut::has_cuts() const {
  for (int rank = 0; rank < num_ranks(); ++rank) {
    for (const cut_side side : cut_sides) {
      if (cut_of(rank, side).slice >= 0) return true;
    }
  }
  return false;
}

}  // namespace warpbag::sharding
