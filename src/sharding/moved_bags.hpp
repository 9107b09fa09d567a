// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bags of slices that a rank boundary cuts go to the slice's home, with their output gradients, so
// that the home can sum the slice whole (batch_cut.hpp).

#include <array>
#include <vector>

#include "sharding/batch_cut.hpp"
#include "sharding/rank_calls.hpp"
#include "sharding/routed_batch.hpp"
#include "sharding/subtree_sums.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

class moved_bags {
 public:
  explicit moved_bags(operations::device_access& access);

  /// What this rank tells each rank before the bags move: for every feature and every slice that
  /// `to` sums and this rank has bags of, whether they are weighted and the lookups of each bag.
  /// Reads the offsets of these bags (waits). `call`: as given by the caller, with winners.
  std::vector<std::int64_t> announce(const collection::call_records& call,
                                     std::span<const batch_cut> cuts, int rank, int to);
  /// Numbers in the announcement of `from` to `rank`.
  static std::int64_t announced_size(std::span<const batch_cut> cuts, int from, int rank);

  /// Collective. `announced`: from each rank. After it, call(side) has the bags of the slices that
  /// this rank sums, with ids, output gradients and winners. Returns the bytes sent to other ranks.
  std::int64_t exchange(rank_calls& calls, const collection::call_records& call,
                        std::span<const batch_cut> cuts,
                        std::span<const std::vector<std::int64_t>> announced);

  const collection::call_records& call(cut_side side) const { return calls_[index_of(side)]; }
  bool has_bags(cut_side side) const { return calls_[index_of(side)].total_bags > 0; }

 private:
  /// Bags [bags.begin, bags.end) of a feature and their lookups.
  struct bag_run {
    sample_range bags;
    sample_range lookups;
  };
  /// One rank's bags of one feature in a home's slice.
  struct arriving_bags {
    std::int64_t bags = 0;
    std::int64_t lookups = 0;
    bool weighted = false;
  };
  struct feature_arrivals {
    std::vector<arriving_bags> from;    // [rank]
    std::vector<std::int64_t> offsets;  // [bags + 1] of all ranks together
    bool weighted = false;
  };

  static std::size_t index_of(cut_side side) { return static_cast<std::size_t>(side); }
  bag_run run_of(const collection::call_records& call, std::size_t feature,
                 const sample_range& bags);
  void send(const collection::call_records& call, std::size_t feature, const bag_run& run, int to,
            std::vector<send_piece>& sends);
  std::vector<feature_arrivals> arrivals(std::span<const batch_cut> cuts, int rank, cut_side side,
                                         std::span<const std::vector<std::int64_t>> announced,
                                         std::vector<std::size_t>& read);
  void place(const collection::call_records& call, std::span<const batch_cut> cuts, int rank,
             cut_side side, const std::vector<feature_arrivals>& arriving);
  void list_receives(cut_side side, const std::vector<feature_arrivals>& arriving,
                     std::vector<receive_piece>& receives);

  operations::device_access* access_;
  std::array<collection::call_records, 2> calls_;
  std::array<working_memory, 2> memory_;
  std::vector<collection::device_buffer>
      packed_gradients_;  // of strided gradients, while they move
};

}  // namespace warpbag::sharding
