// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the samples of one feature in the global batch lie over ranks and over the slices of N3, as
// one rank's step asks for it. Everything here comes from the ranks' numbers of samples alone
// (slice_owners.hpp), so every rank knows it of every other.
//
// A slice whose samples are all of one rank is summed there, together with its neighbours as far as
// they make whole subtrees. A slice that a rank boundary cuts is summed by its home, the rank that
// has most of its samples: the other ranks send it their bags of that slice, and no occurrence
// travels alone.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sharding/slice_owners.hpp"

namespace warpbag::sharding {

/// Samples [begin, end), counted within a rank.
struct sample_range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

/// What a rank's own whole slices make: maximal subtrees.
struct subtree_cut {
  std::array<std::int8_t, numerics::num_slices> subtree_of_slice;  // -1: not summed there
  std::vector<std::int32_t> first_slices;                          // of each subtree
};

/// A slice that several ranks have samples of.
struct cut_slice {
  std::int32_t slice = 0;
  int home = 0;
};

/// The cut slices of a rank: the one that its first sample is in and the one that its last sample
/// is in, where others have samples of it too and, for the second, where it is not the first one.
/// A home sums them apart: `before` all its whole slices and `after` them.
enum class cut_side : std::uint8_t { before, after };
inline constexpr std::array cut_sides = {cut_side::before, cut_side::after};

class batch_cut {
 public:
  /// sizes[r]: samples of rank r.
  explicit batch_cut(std::span<const std::int64_t> sizes) : owners_(assign_slices(sizes)) {}

  int num_ranks() const { return static_cast<int>(owners_.subtrees.size()); }
  std::int64_t batch() const { return owners_.batch; }
  std::int64_t first_sample(int rank) const {
    return owners_.first_sample[static_cast<std::size_t>(rank)];
  }

  /// Samples of `rank` in `slice`.
  sample_range samples_in(int rank, std::int32_t slice) const;
  subtree_cut subtrees_of(int rank) const;

  /// The cut slice on one side of a rank; slice -1: there is none.
  cut_slice cut_of(int rank, cut_side side) const;
  /// The slice that `rank` sums for others and itself on one side; -1: none.
  std::int32_t home_slice(int rank, cut_side side) const;
  bool has_cuts() const { return !owners_.moved.empty(); }

 private:
  slice_owners owners_;
};

}  // namespace warpbag::sharding
