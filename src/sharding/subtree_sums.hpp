// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a rank can sum of each row's gradient by itself: the subtrees of N3 whose samples it has.

#include <cstdint>
#include <vector>

#include "collection/call_records.hpp"
#include "sharding/batch_cut.hpp"
#include "sharding/routed_batch.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

/// Sums of one feature, by destination of the row, then by row and slice.
struct feature_sums {
  float* values = nullptr;               // on the device: [sums, dim]
  std::int64_t* packed = nullptr;        // on the device: [sums] see operations::packed_record
  std::uint32_t* occurrences = nullptr;  // on the device: [sums]; nullptr: not wanted
  std::vector<std::int64_t> counts;      // [destination]; empty: the table is frozen

  std::int64_t total() const;
};

/// The call on found rows: tables of found.num_rows(t) + 1 rows without memory, of which the last
/// is padding, and the features of `call` with compact ids.
void make_compact_call(const collection::call_records& call, const found_rows& found,
                       collection::call_records& compact);

class subtree_sums {
 public:
  explicit subtree_sums(operations::device_access& access) : access_(&access), memory_(access) {}

  /// `compact`: a call on compact ids that `backend` has checked, with output gradients and each
  /// feature's first_sample and batch in the global batch. cuts[f]: which subtrees to sum. Frozen
  /// tables take no sums.
  void sum(const collection::call_records& compact, const found_rows& found,
           std::span<const subtree_cut> cuts, std::span<const table_config> configs,
           bad_id_policy policy, working_backend& backend);

  const feature_sums& of(std::size_t feature) const { return sums_[feature]; }
  /// No sums at all.
  void clear(std::size_t num_features) { sums_.assign(num_features, {}); }

 private:
  void place(const collection::call_records& compact, std::span<const subtree_cut> cuts,
             const found_rows& found, std::span<const table_config> configs);
  void split(const collection::call_records& compact, std::span<const subtree_cut> cuts,
             const found_rows& found, bad_id_policy policy, operations::backend& backend);
  void make_call(const collection::call_records& compact);
  void pack(std::span<const subtree_cut> cuts, const found_rows& found, bad_id_policy policy,
            operations::backend& backend);
  void read_counts(const found_rows& found);

  struct feature_memory {
    std::size_t feature = 0;  // of the compact call
    std::size_t table = 0;
    void* ids = nullptr;
    std::int64_t num_rows = 0;  // (compact id, subtree) pairs, and padding
    operations::gradient_record gradient;
    std::int64_t* counts = nullptr;
  };

  operations::device_access* access_;
  working_memory memory_;
  std::vector<feature_memory> placed_;  // features of tables that are not frozen
  std::vector<feature_sums> sums_;      // [feature]
  collection::call_records call_;
};

}  // namespace warpbag::sharding
