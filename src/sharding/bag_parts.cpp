// SPDX-License-Identifier: Apache-2.0
#include "sharding/bag_parts.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "collection/refuse.hpp"
#include "numerics/gradient_tree.hpp"
#include "sharding/bag_offsets.hpp"
#include "sharding/routed_batch.hpp"

namespace warpbag::sharding {

namespace {

constexpr std::int64_t words_told = 3;  // of a feature
constexpr int lookups_bits = 32;        // of a part's word, below the number of its bag

template <typename Element>
std::int64_t bytes_of(std::int64_t count) {
  return count * static_cast<std::int64_t>(sizeof(Element));
}

std::int64_t sum(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

template <typename Element>
void append(std::vector<Element>& to, const std::vector<Element>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

/// What goes to one owner.
struct part_router::owner_list {
  std::vector<std::int64_t> bags, sizes, rows, positions;
  std::vector<float> scales, lookup_scales, weights;

  void add_to(cut_bags& all, sent_parts& sent) const;
};

/// Everything that goes out, owner after owner, and the bags as bags of parts.
struct part_router::cut_bags {
  std::vector<std::int64_t> bags, rows, words, part_ids, part_offsets;
  std::vector<float> scales, weights;
};

void part_router::owner_list::add_to(cut_bags& all, sent_parts& sent) const {
  append(all.bags, bags);
  append(all.rows, rows);
  append(all.scales, scales);
  append(all.weights, weights);
  for (std::size_t k = 0; k < bags.size(); ++k) {
    all.words.push_back((bags[k] << lookups_bits) + sizes[k]);
  }
  sent.parts.push_back(std::ssize(bags));
  sent.lookups.push_back(std::ssize(rows));
  append(sent.positions, positions);
  append(sent.lookup_scales, lookup_scales);
}

part_router::part_router(const layout& layout, const shard_memory& shards,
                         const collection::configured_tables& configured,
                         operations::device_access& access)
    : layout_(&layout), shards_(&shards), configured_(&configured), access_(&access) {
  for (std::size_t f = 0; f < configured.features().size(); ++f) {
    const std::size_t table = configured.table_index(configured.features()[f].table);
    if (!layout.tables()[table].partial_bags) continue;
    features_.push_back(f);
    tables_.push_back(table);
  }
}

bool part_router::owns(int rank, std::size_t table) const {
  const auto& parts = layout_->parts_of(rank);
  return std::any_of(parts.begin(), parts.end(),
                     [table](const table_part& part) { return part.table == table; });
}

/// A feature's bags on the host, and what becomes of them.
struct part_router::feature_bags {
  std::vector<std::int64_t> offsets, ids, rows;
  std::vector<float> weights;
  std::vector<std::int64_t> ends;  // [destination] of its compact ids
  std::vector<owner_list> owners;
  std::vector<std::vector<std::size_t>> owners_of_bag;  // ascending
  std::vector<std::int64_t> counted;                    // [bag] lookups that count in a mean

  /// Gives the bag's lookups to the owners of their rows.
  void cut(std::size_t bag, bool bad_ids_count);
};

void part_router::feature_bags::cut(std::size_t bag, bool bad_ids_count) {
  for (std::int64_t position = offsets[bag]; position < offsets[bag + 1]; ++position) {
    const std::int64_t id = ids[static_cast<std::size_t>(position)];
    const bool live = id >= 0 && id < ends.back();
    counted[bag] += live || (id < 0 && bad_ids_count) ? 1 : 0;
    if (!live) continue;
    const auto end = std::upper_bound(ends.begin(), ends.end(), id);
    const auto owner = static_cast<std::size_t>(end - ends.begin());
    owner_list& list = owners[owner];
    if (list.bags.empty() || list.bags.back() != static_cast<std::int64_t>(bag)) {
      list.bags.push_back(static_cast<std::int64_t>(bag));
      list.sizes.push_back(0);
      owners_of_bag[bag].push_back(owner);
    }
    ++list.sizes.back();
    list.rows.push_back(rows[static_cast<std::size_t>(id)]);
    list.positions.push_back(position);
    if (!weights.empty()) list.weights.push_back(weights[static_cast<std::size_t>(position)]);
  }
  std::sort(owners_of_bag[bag].begin(), owners_of_bag[bag].end());
}

part_router::feature_bags part_router::cut_feature(const collection::call_records& call,
                                                   const found_rows& found,
                                                   const sent_parts& sent) const {
  const operations::feature_record& feature = call.features[sent.feature];
  if (feature.num_bags > std::numeric_limits<std::int32_t>::max()) {
    collection::refuse(configured_->names().feature(sent.feature), " has ", feature.num_bags,
                       " bags, too many for the exchange of partial bags");
  }
  const auto& counts = found.counts[sent.table];
  const auto num_bags = static_cast<std::size_t>(feature.num_bags);
  feature_bags bags;
  bags.offsets = read_offsets(*access_, feature, call.ids_type, 0, feature.num_bags);
  bags.ids = read_indices(*access_, found.compact_ids[sent.feature], call.ids_type,
                          static_cast<std::size_t>(feature.num_ids));
  bags.rows =
      read_values(*access_, found.rows + found.first_row[sent.table], found.num_rows(sent.table));
  if (sent.weighted) bags.weights = read_values(*access_, feature.weights, feature.num_ids);
  bags.ends.resize(counts.size());
  std::partial_sum(counts.begin(), counts.end(), bags.ends.begin());
  bags.owners.resize(counts.size() - 1);
  bags.owners_of_bag.resize(num_bags);
  bags.counted.resize(num_bags);
  for (std::size_t bag = 0; bag < num_bags; ++bag) {
    bags.cut(bag, configured_->options().policy == bad_id_policy::zero);
    if (!is_mean(sent.feature)) continue;
    const std::int64_t counted = bags.counted[bag];
    const float scale = counted == 0 ? 0.0F : numerics::mean_scale(counted);
    for (const std::size_t owner : bags.owners_of_bag[bag]) {
      bags.owners[owner].scales.push_back(scale);
      bags.owners[owner].lookup_scales.resize(bags.owners[owner].rows.size(), scale);
    }
  }
  return bags;
}

/// Owner after owner, and the bags as bags of parts.
part_router::cut_bags part_router::join(const feature_bags& bags, sent_parts& sent) const {
  cut_bags all;
  std::vector<std::int64_t> next;  // [owner] part that its next bag is
  for (const owner_list& list : bags.owners) {
    next.push_back(std::ssize(all.bags));
    list.add_to(all, sent);
  }
  sent.num_parts = std::ssize(all.bags);
  for (std::size_t bag = 0; bag < bags.counted.size(); ++bag) {
    all.part_offsets.push_back(std::ssize(all.part_ids));
    for (const std::size_t owner : bags.owners_of_bag[bag]) all.part_ids.push_back(next[owner]++);
    if (!is_mean(sent.feature)) continue;
    const std::int64_t missing = bags.counted[bag] - std::ssize(bags.owners_of_bag[bag]);
    all.part_ids.insert(all.part_ids.end(), static_cast<std::size_t>(missing), sent.num_parts);
  }
  all.part_offsets.push_back(std::ssize(all.part_ids));
  sent.num_part_ids = std::ssize(all.part_ids);
  return all;
}

void part_router::cut(const collection::call_records& call, found_rows& found,
                      bag_parts& parts) const {
  parts.sent.clear();
  std::vector<cut_bags> cuts;
  memory_cut memory;
  struct offsets {
    std::int64_t bags, rows, words, part_ids, part_offsets, scales, weights;
  };
  std::vector<offsets> placed;
  for (std::size_t k = 0; k < features_.size(); ++k) {
    sent_parts& sent = parts.sent.emplace_back();
    sent.feature = features_[k];
    sent.table = tables_[k];
    sent.weighted = call.features[sent.feature].weights != nullptr;
    const cut_bags& all = cuts.emplace_back(join(cut_feature(call, found, sent), sent));
    placed.push_back({memory.add<std::int64_t>(std::ssize(all.bags)),
                      memory.add<std::int64_t>(std::ssize(all.rows)),
                      memory.add<std::int64_t>(std::ssize(all.words)),
                      memory.add<std::int64_t>(std::ssize(all.part_ids)),
                      memory.add<std::int64_t>(std::ssize(all.part_offsets)),
                      memory.add<float>(std::ssize(all.scales)),
                      memory.add<float>(std::ssize(all.weights))});
  }
  std::byte* const begin = parts.sent_memory.get_bytes(memory.bytes());
  const auto write = [&]<typename Element>(std::int64_t offset, const std::vector<Element>& values,
                                           Element*& pointer) {
    pointer = reinterpret_cast<Element*>(begin + offset);
    write_values(*access_, values, pointer);
  };
  for (std::size_t k = 0; k < cuts.size(); ++k) {
    sent_parts& sent = parts.sent[k];
    write(placed[k].bags, cuts[k].bags, sent.bags);
    write(placed[k].rows, cuts[k].rows, sent.rows);
    write(placed[k].words, cuts[k].words, sent.words);
    write(placed[k].part_ids, cuts[k].part_ids, sent.part_ids);
    write(placed[k].part_offsets, cuts[k].part_offsets, sent.part_offsets);
    write(placed[k].scales, cuts[k].scales, sent.scales);
    write(placed[k].weights, cuts[k].weights, sent.weights);
  }
  for (const std::size_t table : tables_) {
    std::fill(found.counts[table].begin(), found.counts[table].end(), 0);
  }
}

std::vector<std::int64_t> part_router::announce(const bag_parts& parts, int to) const {
  std::vector<std::int64_t> words;
  for (const sent_parts& sent : parts.sent) {
    for (const table_part& part : layout_->parts_of(to)) {
      if (part.table != sent.table) continue;
      const auto owner = static_cast<std::size_t>(part.owner);
      words.insert(words.end(), {sent.parts[owner], sent.lookups[owner], sent.weighted ? 1 : 0});
    }
  }
  return words;
}

std::int64_t part_router::num_features_of(int rank) const {
  return std::count_if(tables_.begin(), tables_.end(),
                       [&](std::size_t table) { return owns(rank, table); });
}

std::int64_t part_router::announced_size(int to) const { return words_told * num_features_of(to); }

void part_router::learn(std::span<const std::span<const std::int64_t>> from_each,
                        bag_parts& parts) const {
  parts.received.clear();
  std::size_t read = 0;
  for (std::size_t k = 0; k < features_.size(); ++k) {
    for (std::size_t s = 0; s < shards_->num_parts(); ++s) {
      if (shards_->shards()[s].table != tables_[k]) continue;
      received_parts& received = parts.received.emplace_back();
      received.feature = features_[k];
      received.shard = s;
      for (const auto& words : from_each) {
        received.parts.push_back(words[read]);
        received.lookups.push_back(words[read + 1]);
        received.weighted.push_back(words[read + 2] != 0);
        received.any_weighted = received.any_weighted || received.weighted.back();
      }
      received.num_parts = sum(received.parts);
      received.num_lookups = sum(received.lookups);
      read += words_told;
    }
  }
}

std::vector<std::int64_t> part_router::lookups_of(const bag_parts& parts, std::size_t shard) const {
  std::vector<std::int64_t> lookups(static_cast<std::size_t>(layout_->num_ranks()));
  for (const received_parts& received : parts.received) {
    if (received.shard != shard) continue;
    std::transform(lookups.begin(), lookups.end(), received.lookups.begin(), lookups.begin(),
                   std::plus<>());
  }
  return lookups;
}

void part_router::list_sends(const bag_parts& parts, std::vector<send_piece>& sends) const {
  for (const sent_parts& sent : parts.sent) {
    std::int64_t part = 0;
    std::int64_t lookup = 0;
    const auto& ranks = layout_->tables()[sent.table].pieces.front().ranks;
    for (std::size_t owner = 0; owner < ranks.size(); ++owner) {
      const int to = ranks[owner];
      sends.push_back({to, sent.rows + lookup, bytes_of<std::int64_t>(sent.lookups[owner])});
      sends.push_back({to, sent.words + part, bytes_of<std::int64_t>(sent.parts[owner])});
      if (is_mean(sent.feature)) {
        sends.push_back({to, sent.scales + part, bytes_of<float>(sent.parts[owner])});
      }
      if (sent.weighted) {
        sends.push_back({to, sent.weights + lookup, bytes_of<float>(sent.lookups[owner])});
      }
      part += sent.parts[owner];
      lookup += sent.lookups[owner];
    }
  }
}

void part_router::place(bag_parts& parts) const {
  memory_cut memory;
  struct offsets {
    std::int64_t words, scales, weights;
  };
  std::vector<offsets> placed;
  for (const received_parts& received : parts.received) {
    placed.push_back({memory.add<std::int64_t>(received.num_parts),
                      memory.add<float>(is_mean(received.feature) ? received.num_parts : 0),
                      memory.add<float>(received.any_weighted ? received.num_lookups : 0)});
  }
  std::byte* const begin = parts.received_memory.get_bytes(memory.bytes());
  for (std::size_t k = 0; k < placed.size(); ++k) {
    received_parts& received = parts.received[k];
    received.words = reinterpret_cast<std::int64_t*>(begin + placed[k].words);
    received.device_scales = reinterpret_cast<float*>(begin + placed[k].scales);
    received.weights =
        received.any_weighted ? reinterpret_cast<float*>(begin + placed[k].weights) : nullptr;
  }
}

/// In the order of list_sends. Lookups without weights among weighted ones weigh 1.
void part_router::list_receives(const bag_parts& parts,
                                std::vector<receive_piece>& receives) const {
  for (const received_parts& received : parts.received) {
    std::int64_t part = 0;
    std::int64_t lookup = 0;
    for (std::size_t rank = 0; rank < received.parts.size(); ++rank) {
      const int from = static_cast<int>(rank);
      const std::int64_t num_parts = received.parts[rank];
      const std::int64_t num_lookups = received.lookups[rank];
      receives.push_back({from, received.rows + lookup, bytes_of<std::int64_t>(num_lookups)});
      receives.push_back({from, received.words + part, bytes_of<std::int64_t>(num_parts)});
      if (is_mean(received.feature)) {
        receives.push_back({from, received.device_scales + part, bytes_of<float>(num_parts)});
      }
      if (received.weighted[rank]) {
        receives.push_back({from, received.weights + lookup, bytes_of<float>(num_lookups)});
      } else if (received.any_weighted && num_lookups > 0) {
        const std::vector<float> ones(static_cast<std::size_t>(num_lookups), 1.0F);
        access_->write(received.weights + lookup, ones.data(), ones.size() * sizeof(float));
      }
      part += num_parts;
      lookup += num_lookups;
    }
  }
}

void part_router::read(bag_parts& parts) const {
  for (received_parts& received : parts.received) {
    received.bags = read_values(*access_, received.words, received.num_parts);
    received.sizes.clear();
    for (std::int64_t& word : received.bags) {
      received.sizes.push_back(word & ((std::int64_t{1} << lookups_bits) - 1));
      word >>= lookups_bits;
    }
    if (is_mean(received.feature)) {
      received.scales = read_values(*access_, received.device_scales, received.num_parts);
    }
  }
}

}  // namespace warpbag::sharding
