// SPDX-License-Identifier: Apache-2.0
#include "sharding/routed_batch.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace warpbag::sharding {

namespace {

using operations::input_fault;
using operations::input_status;

constexpr auto row_bytes = static_cast<std::int64_t>(sizeof(std::int64_t));

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

/// What the records say of a fault: the number that the value should have been below.
rank_fault fault_of(const collection::call_records& call, input_fault kind,
                    const lookup_location& where) {
  const auto& feature = call.features[static_cast<std::size_t>(where.feature)];
  const auto& table = call.tables[static_cast<std::size_t>(where.table)];
  return {kind, where, kind == input_fault::id ? table.num_rows : feature.num_ids, nullptr};
}

void place_compact_ids(const collection::call_records& call, found_rows& found) {
  memory_cut cut;
  std::vector<std::int64_t> offsets;
  for (const auto& feature : call.features) {
    offsets.push_back(
        cut.add<std::byte>(feature.num_ids * static_cast<std::int64_t>(size_of(call.ids_type))));
  }
  std::byte* const ids = found.ids_memory.get_bytes(cut.bytes());
  found.compact_ids.clear();
  for (const std::int64_t offset : offsets) found.compact_ids.push_back(ids + offset);
}

}  // namespace

std::int64_t found_rows::num_rows(std::size_t table) const { return sum(counts[table]); }

void find_rows(const collection::call_records& call, const shard_memory& shards,
               bad_id_policy policy, working_backend& backend, operations::device_access& access,
               found_rows& found) {
  std::int64_t num_counts = 0;
  found.first_count.clear();
  for (const operations::route_record& route : shards.routes()) {
    found.first_count.push_back(num_counts);
    num_counts += route.num_destinations();
  }
  found.rows = found.rows_memory.get<std::int64_t>(call.total_positions);
  found.device_counts = found.counts_memory.get<std::int64_t>(num_counts);
  place_compact_ids(call, found);

  const operations::problem problem = call.problem(policy);
  operations::backend& work = backend.prepared(call, true);
  work.check_inputs(problem);
  work.deduplicate(problem);
  work.route(problem, shards.routes(), {found.rows, found.device_counts, found.compact_ids.data()});

  std::vector<std::int64_t> counts(static_cast<std::size_t>(num_counts));
  access.read(counts.data(), found.device_counts, counts.size() * sizeof(std::int64_t));
  found.counts.clear();
  found.first_row.clear();
  auto next = counts.begin();
  std::int64_t first_row = 0;
  for (const operations::route_record& route : shards.routes()) {
    found.counts.emplace_back(next, next + route.num_destinations());
    found.first_row.push_back(first_row);
    first_row += sum(found.counts.back());
    next += route.num_destinations();
  }
}

batch_router::batch_router(operations::side_stream& side, const layout& layout,
                           const shard_memory& shards,
                           const collection::configured_tables& configured,
                           operations::device_access& access)
    : side_(&side),
      layout_(&layout),
      shards_(&shards),
      configured_(&configured),
      access_(&access),
      backend_(side.get_resources()),
      parts_(layout, shards, configured, access) {}

/// Finds the rows; a bad batch is thrown on the CPU and by status on a device, and here it is
/// thrown in both.
void batch_router::find_rows_of(routed_batch& batch) {
  const bad_id_policy policy = configured_->options().policy;
  const auto finish = [&] {
    const input_status status = backend_.get().status();
    backend_.get().clear_status();
    bad_ids_ += status.bad_ids;
    return status;
  };
  try {
    find_rows(batch.call, *shards_, policy, backend_, *access_, batch.found);
  } catch (const bad_batch&) {
    finish();
    throw;
  }
  const input_status status = finish();
  if (status.first_fault != input_fault::none) {
    const rank_fault fault = fault_of(batch.call, status.first_fault, status.where);
    operations::throw_bad_batch(fault.bad_input, fault.where, fault.limit);
  }
  parts_.cut(batch.call, batch.found, batch.parts);
}

rank_fault batch_router::find(routed_batch& batch, std::exception_ptr rejected) {
  rank_fault fault;
  fault.other = rejected;
  try {
    if (!fault.any()) find_rows_of(batch);
  } catch (const id_out_of_range& error) {
    fault = fault_of(batch.call, input_fault::id, error.where());
  } catch (const bad_offsets& error) {
    fault = fault_of(batch.call, input_fault::offset, error.where());
  } catch (const std::exception&) {
    fault.other = std::current_exception();
  }
  return fault;
}

void batch_router::ask(rank_calls& calls, routed_batch& batch, const rank_fault& fault) {
  // To each rank: this rank's samples per feature, and the rows that it wants of each of the parts
  // there.
  const std::size_t num_features = configured_->features().size();
  const auto& replicas = layout_->renormalized_replicas();
  const std::size_t num_requests = shards_->num_parts() + replicas.size();
  std::vector<std::vector<std::int64_t>> told(static_cast<std::size_t>(calls.size()));
  std::vector<std::vector<std::int64_t>> learned(told.size());
  for (int rank = 0; rank < calls.size(); ++rank) {
    auto& words = told[static_cast<std::size_t>(rank)];
    const std::size_t num_words = num_features + layout_->parts_of(rank).size() + replicas.size();
    words.assign(num_words + static_cast<std::size_t>(parts_.announced_size(rank)), 0);
    learned[static_cast<std::size_t>(rank)].resize(
        num_features + num_requests +
        static_cast<std::size_t>(parts_.announced_size(calls.rank())));
    if (fault.any()) continue;
    for (std::size_t f = 0; f < num_features; ++f) words[f] = batch.call.features[f].num_bags;
    std::size_t next = num_features;
    for (const table_part& part : layout_->parts_of(rank)) {
      words[next++] = batch.found.counts[part.table][static_cast<std::size_t>(part.owner)];
    }
    for (const std::size_t t : replicas) words[next++] = batch.found.counts[t].back();
    const auto of_parts = parts_.announce(batch.parts, rank);
    std::copy(of_parts.begin(), of_parts.end(), words.begin() + static_cast<std::ptrdiff_t>(next));
  }
  const auto schema = static_cast<std::uint64_t>(batch.call.ids_type);
  calls.agree(rank_operation::forward, schema, fault, told, learned);

  batch.sizes.assign(num_features, {});
  batch.requests.assign(num_requests, {});
  std::vector<std::span<const std::int64_t>> of_parts;
  for (const auto& words : learned) {
    of_parts.push_back(std::span(words).subspan(num_features + num_requests));
    for (std::size_t f = 0; f < num_features; ++f) batch.sizes[f].push_back(words[f]);
    for (std::size_t k = 0; k < num_requests; ++k) {
      batch.requests[k].push_back(words[num_features + k]);
    }
  }
  parts_.learn(of_parts, batch.parts);
  exchange_requests(calls, batch);
}

void batch_router::list_requests(rank_calls& calls, const routed_batch& batch,
                                 std::vector<send_piece>& sends) const {
  for (std::size_t t = 0; t < layout_->tables().size(); ++t) {
    for (const column_piece& piece : layout_->tables()[t].pieces) {
      const std::int64_t* rows = batch.found.rows + batch.found.first_row[t];
      for (std::size_t owner = 0; owner < piece.ranks.size(); ++owner) {
        const std::int64_t count = batch.found.counts[t][owner];
        sends.push_back({piece.ranks[owner], rows, count * row_bytes});
        rows += count;
      }
    }
  }
  for (const std::size_t t : layout_->renormalized_replicas()) {
    const std::int64_t count = batch.found.counts[t].back();
    const std::int64_t first = batch.found.first_row[t] + batch.found.num_rows(t) - count;
    for (int rank = 0; rank < calls.size(); ++rank) {
      sends.push_back({rank, batch.found.rows + first, count * row_bytes});
    }
  }
}

void batch_router::exchange_requests(rank_calls& calls, routed_batch& batch) {
  std::vector<send_piece> sends;
  list_requests(calls, batch, sends);
  const auto in_parts = [&](std::size_t k) {
    return k < shards_->num_parts() && layout_->tables()[shards_->shards()[k].table].partial_bags;
  };
  for (std::size_t k = 0; k < batch.requests.size(); ++k) {
    if (in_parts(k)) batch.requests[k] = parts_.lookups_of(batch.parts, k);
  }
  std::int64_t total = 0;
  for (const auto& of_ranks : batch.requests) total += sum(of_ranks);
  auto* next = batch.requested_memory.get<std::int64_t>(total);
  std::vector<receive_piece> receives;
  batch.requested.clear();
  std::vector<std::int64_t*> of_shards;  // where the next lookups of a shard go
  for (std::size_t k = 0; k < batch.requests.size(); ++k) {
    const std::vector<std::int64_t>& of_ranks = batch.requests[k];
    batch.requested.push_back(next);
    of_shards.push_back(next);
    if (in_parts(k)) {
      next += sum(of_ranks);
      continue;
    }
    for (std::size_t rank = 0; rank < of_ranks.size(); ++rank) {
      receives.push_back({static_cast<int>(rank), next, of_ranks[rank] * row_bytes});
      next += of_ranks[rank];
    }
  }
  parts_.list(
      batch.parts,
      [&](const received_parts& received) {
        return std::exchange(of_shards[received.shard],
                             of_shards[received.shard] + received.num_lookups);
      },
      sends, receives);
  const bool elsewhere = calls.ranks().stream() != side_->get_resources().stream;
  if (elsewhere) side_->lead();
  batch.sent_bytes = calls.exchange(sends, receives);
  if (elsewhere) side_->follow();
  parts_.read(batch.parts);
}

}  // namespace warpbag::sharding
