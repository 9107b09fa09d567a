// SPDX-License-Identifier: Apache-2.0
#pragma once
// The first half of a sharded forward, which needs ids but no rows: every rank finds the distinct
// rows of its batch and asks their owners for them. It may run ahead of the step before.

#include <cstdint>
#include <vector>

#include "collection/call_records.hpp"
#include "collection/configured_tables.hpp"
#include "operations/side_stream.hpp"
#include "sharding/bag_parts.hpp"
#include "sharding/rank_calls.hpp"
#include "sharding/shard_memory.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

/// Distinct rows of some bags, by destination (operations/routing.hpp).
struct found_rows {
  explicit found_rows(operations::device_access& access)
      : rows_memory(access), counts_memory(access), ids_memory(access) {}

  std::vector<std::vector<std::int64_t>> counts;  // [table][destination]
  std::vector<std::int64_t> first_row;            // [table] in `rows`
  std::int64_t* rows = nullptr;                   // on the device: [distinct rows]
  std::int64_t* device_counts = nullptr;          // on the device: counts, end to end
  std::vector<std::int64_t> first_count;          // [table] in `device_counts`
  std::vector<void*> compact_ids;                 // [feature], on the device

  std::int64_t num_rows(std::size_t table) const;

  working_memory rows_memory;
  working_memory counts_memory;
  working_memory ids_memory;
};

/// check_inputs (throws bad_batch), deduplicate and route. Waits for the counts. `call`: tables of
/// whole size, whose memory is not touched.
void find_rows(const collection::call_records& call, const shard_memory& shards,
               bad_id_policy policy, working_backend& backend, operations::device_access& access,
               found_rows& found);

/// A batch whose rows have been asked for.
struct routed_batch {
  explicit routed_batch(operations::device_access& access)
      : found(access), parts(access), requested_memory(access) {}

  collection::call_records call;  // tables of whole size, without memory; features as given
  found_rows found;
  bag_parts parts;
  std::vector<std::vector<std::int64_t>> sizes;  // [feature][rank] samples
  // What this rank is asked for: of each of its parts (layout.parts_of; where bags are pooled in
  // parts: a row for each lookup), then what each rank reads of layout.renormalized_replicas.
  std::vector<std::vector<std::int64_t>> requests;  // [part][rank] rows
  std::vector<const std::int64_t*> requested;       // [part], on the device: rank after rank; in
                                                    // parts: feature after feature

  std::int64_t sent_bytes = 0;  // of requests, to other ranks

  working_memory requested_memory;
};

/// Works on a stream of its own, to which batches and their memory belong: the caller orders it
/// after the main stream before find, and the main stream after it before a batch is used there.
class batch_router {
 public:
  /// `access`: on `side`.
  batch_router(operations::side_stream& side, const layout& layout, const shard_memory& shards,
               const collection::configured_tables& configured, operations::device_access& access);

  /// Makes room for batches like this one.
  void reserve(const collection::call_records& call) { backend_.prepared(call, true); }

  /// This rank's part alone: finds the rows of batch.call. Waits. Returns what is wrong with the
  /// batch, or with the call when that was refused before (`rejected`).
  rank_fault find(routed_batch& batch, std::exception_ptr rejected);
  /// Collective, on `calls`, of the main stream or of this one's: asks the owners for these rows.
  /// Throws bad_batch on every rank when the batch of one is bad, and this rank's own `fault`.
  void ask(rank_calls& calls, routed_batch& batch, const rank_fault& fault);

  /// Bad ids met under skip and zero.
  std::int64_t bad_ids() const { return bad_ids_; }

 private:
  void find_rows_of(routed_batch& batch);
  void exchange_requests(rank_calls& calls, routed_batch& batch);
  void list_requests(rank_calls& calls, const routed_batch& batch,
                     std::vector<send_piece>& sends) const;

  operations::side_stream* side_;
  const layout* layout_;
  const shard_memory* shards_;
  const collection::configured_tables* configured_;
  operations::device_access* access_;
  working_backend backend_;
  part_router parts_;
  std::int64_t bad_ids_ = 0;
};

}  // namespace warpbag::sharding
