// SPDX-License-Identifier: Apache-2.0
#include "sharding/slice_owners.hpp"

#include <algorithm>

namespace warpbag::sharding {

namespace {

/// Calls visit(rank, first, count) for every rank with samples in [first, last), in rank order.
template <typename Visit>
void visit_ranks(const slice_owners& owners, std::int64_t first, std::int64_t last, Visit&& visit) {
  const auto& starts = owners.first_sample;
  // The last rank that starts at or before `first`: ranks without samples start where the next one
  // does.
  auto next = std::upper_bound(starts.begin(), starts.end(), first);
  while (first < last) {
    const std::int64_t end = std::min(*next, last);
    const auto rank = static_cast<int>(next - starts.begin()) - 1;
    if (end > first) visit(rank, first, end - first);
    first = end;
    ++next;
  }
}

void assign_slice(slice_owners& owners, int slice) {
  const std::int64_t first = first_sample_of_slice(slice, owners.batch);
  const std::int64_t last = first_sample_of_slice(slice + 1, owners.batch);
  int owner = -1;
  std::int64_t most = 0;
  visit_ranks(owners, first, last, [&](int rank, std::int64_t, std::int64_t count) {
    if (count <= most) return;
    owner = rank;
    most = count;
  });
  owners.owner[static_cast<std::size_t>(slice)] = owner;
  owners.is_cut[static_cast<std::size_t>(slice)] = owner >= 0 && most < last - first;
  visit_ranks(owners, first, last, [&](int rank, std::int64_t start, std::int64_t count) {
    if (rank != owner) owners.moved.push_back({rank, owner, start, count});
  });
}

/// Adds the maximal subtrees within [first_slice, first_slice + num_slices) to their ranks.
void add_subtrees(slice_owners& owners, int first_slice, int num_slices) {
  int owner = -1;
  bool shared = false;
  for (int slice = first_slice; slice < first_slice + num_slices; ++slice) {
    const int here = owners.owner[static_cast<std::size_t>(slice)];
    if (here < 0) continue;
    shared = shared || (owner >= 0 && here != owner) ||
             (num_slices > 1 && owners.is_cut[static_cast<std::size_t>(slice)]);
    owner = here;
  }
  if (owner < 0) return;
  if (shared) {
    const int part = num_slices / numerics::slices_per_node;
    for (int i = 0; i < numerics::slices_per_node; ++i) {
      add_subtrees(owners, first_slice + i * part, part);
    }
    return;
  }
  const std::int64_t samples = first_sample_of_slice(first_slice + num_slices, owners.batch) -
                               first_sample_of_slice(first_slice, owners.batch);
  owners.subtrees[static_cast<std::size_t>(owner)].push_back({first_slice, num_slices, samples});
}

}  // namespace

slice_owners assign_slices(std::span<const std::int64_t> batches) {
  slice_owners owners;
  owners.first_sample.push_back(0);
  for (const std::int64_t batch : batches) {
    owners.batch += batch;
    owners.first_sample.push_back(owners.batch);
  }
  owners.subtrees.resize(batches.size());
  for (int slice = 0; slice < numerics::num_slices; ++slice) assign_slice(owners, slice);
  add_subtrees(owners, 0, static_cast<int>(numerics::num_slices));
  return owners;
}

}  // namespace warpbag::sharding
