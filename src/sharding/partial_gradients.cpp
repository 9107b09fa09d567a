// SPDX-License-Identifier: Apache-2.0
// The backward half of partial_bags.
#include <algorithm>
#include <numeric>

#include "sharding/bag_offsets.hpp"
#include "sharding/partial_bags.hpp"

namespace warpbag::sharding {

namespace {

constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

std::int64_t bytes_of(dtype type) { return static_cast<std::int64_t>(size_of(type)); }

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

}  // namespace

void partial_bags::announce(const bag_parts& parts, const collection::call_records& call,
                            bool refused, std::vector<std::vector<std::int64_t>>& told) const {
  for (std::size_t to = 0; to < told.size(); ++to) {
    const std::size_t words =
        told[to].size() + static_cast<std::size_t>(announced_size(static_cast<int>(to)));
    for (const sent_parts& sent : parts.sent) {
      if (refused || !router_.owns(static_cast<int>(to), sent.table)) continue;
      told[to].push_back(call.features[sent.feature].weight_gradient != nullptr ? 1 : 0);
    }
    told[to].resize(words);
  }
}

std::int64_t partial_bags::announced_size(int to) const { return router_.num_features_of(to); }

void partial_bags::learn_wanted(const routed_batch& batch,
                                std::span<const std::vector<std::int64_t>> announced) {
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    owned_[k].wanted.clear();
    for (const auto& words : announced) {
      owned_[k].wanted.push_back(words[words.size() - owned_.size() + k] != 0);
    }
    owned_[k].any_wanted =
        batch.parts.received[k].num_lookups > 0 &&
        std::find(owned_[k].wanted.begin(), owned_[k].wanted.end(), true) != owned_[k].wanted.end();
  }
}

bool partial_bags::has_gradients(std::size_t table, bool wanted) const {
  return wanted || !configured_->tables()[table].freeze;
}

void partial_bags::place_gradients(const routed_batch& batch, dtype type) {
  memory_cut memory;
  struct offsets {
    std::int64_t offsets, part_ids, part_offsets, arriving, gradient, weights, weight_gradient;
  };
  std::vector<offsets> placed;
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    const std::int64_t dim = dim_of(table_of(received));
    const std::int64_t samples = sum(batch.sizes[received.feature]);
    placed.push_back({memory.add<std::int64_t>(samples + 1),
                      memory.add<std::int64_t>(received.num_parts),
                      memory.add<std::int64_t>(samples + 1),
                      memory.add<std::byte>(received.num_parts * dim * bytes_of(type)),
                      memory.add<float>(samples * dim), memory.add<float>(received.num_lookups),
                      memory.add<float>(owned_[k].any_wanted ? received.num_lookups : 0)});
  }
  std::byte* const begin = backward_memory_.get_bytes(memory.bytes());
  const auto at = [begin]<typename Element>(std::int64_t offset, Element*& pointer) {
    pointer = reinterpret_cast<Element*>(begin + offset);
  };
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    owner_feature& owned = owned_[k];
    at(placed[k].offsets, owned.offsets);
    at(placed[k].part_ids, owned.part_ids);
    at(placed[k].part_offsets, owned.part_offsets);
    at(placed[k].arriving, owned.arriving);
    at(placed[k].gradient, owned.gradient);
    at(placed[k].weights, owned.weights);
    owned.weight_gradient = nullptr;
    if (owned.any_wanted) at(placed[k].weight_gradient, owned.weight_gradient);
  }
}

/// The output gradients of the bags of all parts, owner after owner: a lookup of each.
void partial_bags::send_gradients(const routed_batch& batch, const collection::call_records& call,
                                  working_backend& backend, std::vector<send_piece>& sends) {
  const dtype type = call.gradient_type;
  memory_cut memory;
  std::vector<std::int64_t> placed;
  for (const sent_parts& sent : batch.parts.sent) {
    placed.push_back(memory.add<std::byte>(sent.num_parts * dim_of(sent.table) * bytes_of(type)));
  }
  std::byte* const begin = packed_memory_.get_bytes(memory.bytes());
  call_ = {};
  call_.output_type = type;
  for (std::size_t k = 0; k < placed.size(); ++k) {
    const sent_parts& sent = batch.parts.sent[k];
    const operations::feature_record& feature = call.features[sent.feature];
    if (!has_gradients(sent.table, feature.weight_gradient != nullptr)) continue;
    add_owner_pieces(sent.table, sent.parts, begin + placed[k], dim_of(sent.table) * bytes_of(type),
                     sends);
    if (sent.num_parts == 0) continue;
    operations::table_record table;
    table.rows = const_cast<void*>(feature.gradient);  // which are only read
    table.num_rows = batch.call.features[sent.feature].num_bags;
    table.dim = static_cast<std::int32_t>(dim_of(sent.table));
    table.row_stride = feature.gradient_stride;
    table.row_type = type;
    call_.features.push_back(row_list(call_.tables.size(), sent.bags, sent.num_parts));
    call_.features.back().output = begin + placed[k];
    call_.features.back().output_stride = table.dim;
    call_.tables.push_back(table);
  }
  pool_call(backend);
}

void partial_bags::receive_gradients(const routed_batch& batch, dtype type,
                                     std::vector<receive_piece>& receives) const {
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    const std::int64_t row_bytes = dim_of(table_of(received)) * bytes_of(type);
    std::byte* next = owned_[k].arriving;
    for (std::size_t rank = 0; rank < received.parts.size(); ++rank) {
      if (has_gradients(table_of(received), owned_[k].wanted[rank])) {
        receives.push_back({static_cast<int>(rank), next, received.parts[rank] * row_bytes});
      }
      next += received.parts[rank] * row_bytes;
    }
  }
}

/// From the order of parts to that of samples, as fp32: each sample's bag has a part or none, and
/// is pooled of it. Zeros become +0, which adds what -0 adds.
void partial_bags::widen_gradients(const routed_batch& batch, dtype type,
                                   working_backend& backend) {
  call_ = {};
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    const auto& sizes = batch.sizes[received.feature];
    std::vector<std::int64_t> lookups(static_cast<std::size_t>(sum(sizes)));
    std::vector<std::int64_t> parts(lookups.size());
    std::vector<std::int64_t> part_ids(received.bags.size());
    std::iota(part_ids.begin(), part_ids.end(), 0);
    std::size_t part = 0;
    std::int64_t first = 0;
    for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
      for (std::int64_t i = 0; i < received.parts[rank]; ++i, ++part) {
        const auto sample = static_cast<std::size_t>(first + received.bags[part]);
        lookups[sample] = received.sizes[part];
        parts[sample] = 1;
      }
      first += sizes[rank];
    }
    write_values(*access_, offsets_of(lookups), owned_[k].offsets);
    const bool any_gradient = has_gradients(table_of(received), owned_[k].any_wanted);
    if (received.num_parts == 0 || !any_gradient) continue;
    write_values(*access_, part_ids, owned_[k].part_ids);
    write_values(*access_, offsets_of(parts), owned_[k].part_offsets);
    operations::table_record table;
    table.rows = owned_[k].arriving;
    table.num_rows = received.num_parts;
    table.dim = static_cast<std::int32_t>(dim_of(table_of(received)));
    table.row_stride = table.dim;
    table.row_type = type;
    call_.features.push_back(bag_list(call_.tables.size(), owned_[k].part_ids, received.num_parts,
                                      owned_[k].part_offsets, first));
    call_.features.back().output = owned_[k].gradient;
    call_.features.back().output_stride = table.dim;
    call_.tables.push_back(table);
  }
  pool_call(backend);
}

/// Of each lookup: weight, 1 / count of its whole bag, or weight * (1 / count) as N3 rounds it.
std::vector<float> partial_bags::scales_of(const received_parts& received) const {
  std::vector<float> scales(static_cast<std::size_t>(received.num_lookups), 1.0F);
  if (received.any_weighted && !scales.empty()) {
    access_->read(scales.data(), received.weights, scales.size() * sizeof(float));
  }
  std::size_t lookup = 0;
  for (std::size_t part = 0; part < received.scales.size(); ++part) {
    for (std::int64_t i = 0; i < received.sizes[part]; ++i) {
      scales[lookup++] *= received.scales[part];
    }
  }
  return scales;
}

void partial_bags::list_gradients(const routed_batch& batch) {
  gradients_.clear();
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    given_bags& given = gradients_.emplace_back();
    given.feature = received.feature;
    given.shard = received.shard;
    given.record = bag_list(received.shard, received.rows, received.num_lookups, owned_[k].offsets,
                            sum(batch.sizes[received.feature]));
    given.record.gradient = owned_[k].gradient;
    given.record.gradient_stride = dim_of(table_of(received));
    if (!received.any_weighted && received.scales.empty()) continue;
    write_values(*access_, scales_of(received), owned_[k].weights);
    given.record.weights = owned_[k].weights;
  }
}

/// Gradients of weights, where any rank wants them: dot products with rows before they change.
void partial_bags::multiply_gradients(working_backend& backend) {
  call_ = {};
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    if (!owned_[k].any_wanted) continue;
    call_.features.push_back(gradients_[k].record);
    call_.features.back().table = static_cast<std::int32_t>(call_.tables.size());
    call_.features.back().weight_gradient = owned_[k].weight_gradient;
    call_.tables.push_back(shards_->shards()[gradients_[k].shard].record);
  }
  operations::backend* const work = checked_call(backend);
  if (work != nullptr) work->sample_weight_gradient(call_.problem(bad_id_policy::error));
}

std::int64_t partial_bags::take_gradients(rank_calls& calls, const routed_batch& batch,
                                          const collection::call_records& call,
                                          std::span<const std::vector<std::int64_t>> announced,
                                          working_backend& backend) {
  if (!any_) return 0;
  const dtype type = call.gradient_type;
  learn_wanted(batch, announced);
  place_gradients(batch, type);
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  send_gradients(batch, call, backend, sends);
  receive_gradients(batch, type, receives);
  std::int64_t sent_bytes = calls.exchange(sends, receives);
  widen_gradients(batch, type, backend);
  list_gradients(batch);
  multiply_gradients(backend);
  sent_bytes += return_weight_gradients(calls, batch, call);
  return sent_bytes;
}

/// The dot products of a bag's output gradient with its rows come back from the owners of these.
std::int64_t partial_bags::return_weight_gradients(rank_calls& calls, const routed_batch& batch,
                                                   const collection::call_records& call) {
  std::vector<send_piece> sends;
  for (std::size_t k = 0; k < owned_.size(); ++k) {
    const received_parts& received = batch.parts.received[k];
    std::int64_t lookup = 0;
    for (std::size_t rank = 0; rank < received.lookups.size(); ++rank) {
      const std::int64_t count = received.lookups[rank];
      if (owned_[k].wanted[rank]) {
        sends.push_back(
            {static_cast<int>(rank), owned_[k].weight_gradient + lookup, count * float_bytes});
      }
      lookup += count;
    }
  }
  memory_cut memory;
  std::vector<std::int64_t> placed;
  std::vector<receive_piece> receives;
  for (const sent_parts& sent : batch.parts.sent) {
    placed.push_back(memory.add<float>(std::ssize(sent.positions)));
  }
  std::byte* const begin = packed_memory_.get_bytes(memory.bytes());
  for (std::size_t k = 0; k < placed.size(); ++k) {
    const sent_parts& sent = batch.parts.sent[k];
    if (call.features[sent.feature].weight_gradient == nullptr) continue;
    add_owner_pieces(sent.table, sent.lookups, begin + placed[k], float_bytes, receives);
  }
  const std::int64_t sent_bytes = calls.exchange(sends, receives);
  for (std::size_t k = 0; k < placed.size(); ++k) {
    const sent_parts& sent = batch.parts.sent[k];
    float* const to = call.features[sent.feature].weight_gradient;
    const std::int64_t num_ids = batch.call.features[sent.feature].num_ids;
    if (to == nullptr || num_ids == 0) continue;
    std::vector<float> products(sent.positions.size());
    if (!products.empty()) {
      access_->read(products.data(), begin + placed[k], products.size() * sizeof(float));
    }
    std::vector<float> gradients(static_cast<std::size_t>(num_ids));  // 0: padding and bad ids
    for (std::size_t i = 0; i < products.size(); ++i) {
      const float scale = sent.lookup_scales.empty() ? 1.0F : sent.lookup_scales[i];
      gradients[static_cast<std::size_t>(sent.positions[i])] = scale * products[i];
    }
    write_values(*access_, gradients, to);
  }
  return sent_bytes;
}

}  // namespace warpbag::sharding
