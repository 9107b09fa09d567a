// SPDX-License-Identifier: Apache-2.0
#include "sharding/partial_bags.hpp"

#include "sharding/bag_offsets.hpp"

namespace warpbag::sharding {

namespace {

constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

}  // namespace

partial_bags::partial_bags(const layout& layout, shard_memory& shards,
                           const collection::configured_tables& configured,
                           operations::device_access& access)
    : layout_(&layout),
      shards_(&shards),
      configured_(&configured),
      access_(&access),
      router_(layout, shards, configured, access),
      any_(router_.any()),
      forward_memory_(access),
      sums_memory_(access),
      backward_memory_(access),
      packed_memory_(access) {}

std::int64_t partial_bags::pool(rank_calls& calls, const routed_batch& batch,
                                working_backend& backend) {
  if (!any_) return 0;
  pool_parts(batch, backend);
  std::vector<send_piece> sends;
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    const std::int64_t row_bytes = dim_of(table_of(received)) * float_bytes;
    const auto* next = reinterpret_cast<const std::byte*>(owned_[k].sums);
    for (std::size_t rank = 0; rank < received.parts.size(); ++rank) {
      sends.push_back({static_cast<int>(rank), next, received.parts[rank] * row_bytes});
      next += received.parts[rank] * row_bytes;
    }
  }
  memory_cut memory;
  std::vector<std::int64_t> placed;
  for (const sent_parts& sent : batch.parts.sent) {
    placed.push_back(memory.add<float>((sent.num_parts + 1) * dim_of(sent.table)));
  }
  std::byte* const begin = sums_memory_.get_bytes(memory.bytes());
  std::vector<receive_piece> receives;
  part_sums_.clear();
  for (std::size_t k = 0; k < placed.size(); ++k) {
    const sent_parts& sent = batch.parts.sent[k];
    const std::int64_t dim = dim_of(sent.table);
    part_sums_.push_back(reinterpret_cast<float*>(begin + placed[k]));
    add_owner_pieces(sent.table, sent.parts, begin + placed[k], dim * float_bytes, receives);
    backend.get().fill(part_sums_.back() + sent.num_parts * dim, dim, 0.0F);
  }
  const std::int64_t sent_bytes = calls.exchange(sends, receives);
  add_parts(batch, backend);
  return sent_bytes;
}

operations::backend* partial_bags::checked_call(working_backend& backend) {
  if (call_.features.empty()) return nullptr;
  lay_out(call_);
  operations::backend& work = backend.prepared(call_);
  work.check_inputs(call_.problem(bad_id_policy::error));
  return &work;
}

void partial_bags::pool_call(working_backend& backend) {
  operations::backend* const work = checked_call(backend);
  if (work != nullptr) work->pool(call_.problem(bad_id_policy::error));
}

/// Without the division of a mean, which is the reader's.
void partial_bags::pool_parts(const routed_batch& batch, working_backend& backend) {
  memory_cut memory;
  std::vector<std::int64_t> sums;
  std::vector<std::int64_t> offsets;
  for (const received_parts& received : batch.parts.received) {
    sums.push_back(memory.add<float>(received.num_parts * dim_of(table_of(received))));
    offsets.push_back(memory.add<std::int64_t>(received.num_parts + 1));
  }
  std::byte* const begin = forward_memory_.get_bytes(memory.bytes());
  owned_.assign(batch.parts.received.size(), {});
  call_ = {};
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    owned_[k].sums = reinterpret_cast<float*>(begin + sums[k]);
    owned_[k].offsets = reinterpret_cast<std::int64_t*>(begin + offsets[k]);
    write_values(*access_, offsets_of(received.sizes), owned_[k].offsets);
    if (received.num_parts == 0) continue;
    call_.features.push_back(bag_list(call_.tables.size(), received.rows, received.num_lookups,
                                      owned_[k].offsets, received.num_parts));
    call_.tables.push_back(shards_->shards()[received.shard].record);
    call_.features.back().weights = received.weights;
    call_.features.back().output = owned_[k].sums;
    call_.features.back().output_stride = call_.tables.back().dim;
  }
  pool_call(backend);
}

/// A bag of parts is pooled as a bag of rows is: the sums of its parts are the rows, and behind
/// them is one of zeros.
void partial_bags::add_parts(const routed_batch& batch, working_backend& backend) {
  call_ = {};
  call_.output_type = batch.call.output_type;
  for (std::size_t k = 0; k < part_sums_.size(); ++k) {
    const sent_parts& sent = batch.parts.sent[k];
    const operations::feature_record& feature = batch.call.features[sent.feature];
    operations::table_record table;
    table.rows = part_sums_[k];
    table.num_rows = sent.num_parts + 1;
    table.dim = static_cast<std::int32_t>(dim_of(sent.table));
    table.row_stride = table.dim;
    call_.features.push_back(bag_list(call_.tables.size(), sent.part_ids, sent.num_part_ids,
                                      sent.part_offsets, feature.num_bags));
    call_.features.back().mode = feature.mode;
    call_.features.back().output = feature.output;
    call_.features.back().output_stride = feature.output_stride;
    call_.tables.push_back(table);
  }
  pool_call(backend);
}

void partial_bags::leave_out(const bag_parts& parts, collection::call_records& compact) {
  if (parts.sent.empty()) return;
  for (const sent_parts& sent : parts.sent) {
    compact.features[sent.feature].num_bags = 0;
    compact.features[sent.feature].num_ids = 0;
  }
  lay_out(compact);
}

}  // namespace warpbag::sharding
