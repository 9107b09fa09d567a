// SPDX-License-Identifier: Apache-2.0
#include "planner/traffic.hpp"

#include <algorithm>
#include <tuple>

#include "collection/validate_checks.hpp"
#include "numerics/row_routing.hpp"
#include "planner/message_bytes.hpp"
#include "sharding/gradient_exchange.hpp"
#include "sharding/layout.hpp"
#include "sharding/slice_owners.hpp"
#include "transport/agreement.hpp"

namespace warpbag::sharding {

namespace {

constexpr std::int64_t word_bytes = 8;  // of an agreement

/// Counts one table.
class table_traffic {
 public:
  table_traffic(link_bytes& links, const table_plan& plan, const table_config& table,
                std::uint32_t number)
      : links_(links),
        plan_(plan),
        table_(table),
        routing_(numerics::make_row_routing(table.num_embeddings, number)),
        padding_(collection::padding_row(table.padding_idx, table.num_embeddings)) {}

  void count_forward(int rank, const std::vector<host_bags>& features);
  void count_backward(const feature_statistics& feature,
                      const std::vector<const host_bags*>& batches);
  void count_agreements(const layout& layout, std::size_t table, std::size_t num_features);
  void count_lanes(std::span<const rank_batch> batches, std::size_t table);
  void count_partial_bags(int rank, const feature_statistics& feature, const host_bags& bags);

 private:
  struct partial {
    int rank;
    std::int64_t row;
    int first_slice;
    auto operator<=>(const partial&) const = default;
  };

  bool is_read(std::int64_t id) const {
    return id >= 0 && id < table_.num_embeddings && id != padding_;
  }
  bool is_replicated(std::int64_t row) const {
    return plan_.kind == sharding_kind::data_parallel ||
           std::binary_search(plan_.replicated_rows.begin(), plan_.replicated_rows.end(), row);
  }
  bool is_asked_for(std::int64_t row) const { return table_.max_norm || !is_replicated(row); }
  std::int64_t columns(int piece) const {
    return first_column_of(table_.embedding_dim, plan_.column_pieces, piece + 1) -
           first_column_of(table_.embedding_dim, plan_.column_pieces, piece);
  }
  int group_size() const { return static_cast<int>(plan_.ranks.size()) / plan_.column_pieces; }
  int owner_of(std::int64_t row, int piece) const {
    const int size = group_size();
    const int owner = numerics::place_of(routing_, size, row).owner;
    return plan_.ranks[static_cast<std::size_t>(piece * size + owner)];
  }
  void add(std::vector<std::int64_t>& bytes, int from, int to, std::int64_t count) {
    if (from != to) bytes[links_.index(from, to)] += count;
  }
  std::vector<partial> partials_of(const slice_owners& slices,
                                   const std::vector<const host_bags*>& batches) const;
  void count_moved(const slice_owners& slices, const feature_statistics& feature,
                   const std::vector<const host_bags*>& batches);

  link_bytes& links_;
  const table_plan& plan_;
  const table_config& table_;
  numerics::row_routing routing_;
  std::int64_t padding_;
};

void table_traffic::count_forward(int rank, const std::vector<host_bags>& features) {
  std::vector<std::int64_t> rows;
  for (const host_bags& bags : features) {
    std::copy_if(bags.ids.begin(), bags.ids.end(), std::back_inserter(rows),
                 [&](std::int64_t id) { return is_read(id) && is_asked_for(id); });
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  for (const std::int64_t row : rows) {
    if (is_replicated(row)) {
      for (int peer = 0; peer < links_.num_ranks; ++peer) {
        add(links_.forward, rank, peer, request_bytes());
      }
      continue;
    }
    for (int piece = 0; piece < plan_.column_pieces; ++piece) {
      const int owner = owner_of(row, piece);
      add(links_.forward, rank, owner, request_bytes());
      add(links_.forward, owner, rank, answer_bytes(table_, columns(piece)));
    }
  }
}

std::vector<table_traffic::partial> table_traffic::partials_of(
    const slice_owners& slices, const std::vector<const host_bags*>& batches) const {
  int first_of_slice[numerics::num_slices] = {};
  for (const auto& subtrees : slices.subtrees) {
    for (const owned_subtree& subtree : subtrees) {
      std::fill_n(first_of_slice + subtree.first_slice, subtree.num_slices, subtree.first_slice);
    }
  }
  std::vector<partial> partials;
  for (std::size_t rank = 0; rank < batches.size(); ++rank) {
    const host_bags& bags = *batches[rank];
    for (std::int64_t bag = 0; bag < bags.num_bags(); ++bag) {
      const auto b = static_cast<std::size_t>(bag);
      const auto slice = static_cast<std::size_t>(
          numerics::slice_of(slices.first_sample[rank] + bag, slices.batch));
      for (std::int64_t i = bags.offsets[b]; i < bags.offsets[b + 1]; ++i) {
        const std::int64_t id = bags.ids[static_cast<std::size_t>(i)];
        if (is_read(id)) partials.push_back({slices.owner[slice], id, first_of_slice[slice]});
      }
    }
  }
  std::sort(partials.begin(), partials.end());
  partials.erase(std::unique(partials.begin(), partials.end()), partials.end());
  return partials;
}

void table_traffic::count_moved(const slice_owners& slices, const feature_statistics& feature,
                                const std::vector<const host_bags*>& batches) {
  for (const moved_samples& moved : slices.moved) {
    const auto from = static_cast<std::size_t>(moved.from);
    const auto first = static_cast<std::size_t>(moved.first - slices.first_sample[from]);
    const auto& offsets = batches[from]->offsets;
    const std::int64_t lookups =
        offsets[first + static_cast<std::size_t>(moved.count)] - offsets[first];
    add(links_.backward, moved.from, moved.to,
        moved.count * moved_bag_bytes(table_, feature) +
            lookups * moved_lookup_bytes(table_, feature));
    add(links_.agreements, moved.from, moved.to, word_bytes);  // whether they are weighted
  }
}

void table_traffic::count_backward(const feature_statistics& feature,
                                   const std::vector<const host_bags*>& batches) {
  std::vector<std::int64_t> sizes;
  for (const host_bags* bags : batches) sizes.push_back(bags->num_bags());
  const slice_owners slices = assign_slices(sizes);
  for (const partial& sum : partials_of(slices, batches)) {
    if (is_replicated(sum.row)) {
      for (int rank = 0; rank < links_.num_ranks; ++rank) {
        add(links_.backward, sum.rank, rank, partial_bytes(table_, table_.embedding_dim));
      }
      continue;
    }
    for (int piece = 0; piece < plan_.column_pieces; ++piece) {
      add(links_.backward, sum.rank, owner_of(sum.row, piece),
          partial_bytes(table_, columns(piece)));
    }
  }
  count_moved(slices, feature, batches);
}

/// Of each feature the samples; of each part of the table at the peer, and of its rows that every
/// rank holds under max_norm, the rows asked for; of each feature and part, or replica, the sums
/// before, within and after the slices that are the rank's own. Where bags are pooled in parts: to
/// their owners, of each feature the parts, their lookups and whether they are weighted, and later
/// whether gradients of weights are wanted.
void table_traffic::count_agreements(const layout& layout, std::size_t table,
                                     std::size_t num_features) {
  const bool has_replica = layout.tables()[table].has_replica();
  const std::size_t replica = has_replica ? 1 : 0;
  for (int to = 0; to < links_.num_ranks; ++to) {
    const auto& all = layout.parts_of(to);
    const auto parts = static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const table_part& part) { return part.table == table; }));
    std::size_t words = num_features + parts + (table_.max_norm ? replica : 0);
    if (plan_.exchange == row_exchange::partial_bags) {
      words += num_features * parts * 4;
    } else if (trains(table_)) {
      words += num_features * (parts + replica) * num_rounds;
    }
    for (int from = 0; from < links_.num_ranks; ++from) {
      add(links_.agreements, from, to, static_cast<std::int64_t>(words) * word_bytes);
    }
  }
}

/// Lanes of every distinct row of all batches, wherever its columns are in several pieces.
void table_traffic::count_lanes(std::span<const rank_batch> batches, std::size_t table) {
  if (plan_.column_pieces < 2) return;
  std::vector<std::int64_t> rows;
  for (const rank_batch& batch : batches) {
    for (const host_bags& bags : batch[table]) {
      std::copy_if(bags.ids.begin(), bags.ids.end(), std::back_inserter(rows),
                   [&](std::int64_t id) { return is_read(id) && !is_replicated(id); });
    }
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  for (const std::int64_t row : rows) {
    for_each_lane_message(plan_.column_pieces, [&](int from, int to) {
      const int sender = owner_of(row, from);
      const int receiver = owner_of(row, to);
      add(links_.forward, sender, receiver, forward_lanes(table_) * lanes_bytes);
      add(links_.backward, sender, receiver, backward_lanes(table_) * lanes_bytes);
    });
  }
}

void table_traffic::count_partial_bags(int rank, const feature_statistics& feature,
                                       const host_bags& bags) {
  std::vector<std::int64_t> lookups(static_cast<std::size_t>(links_.num_ranks));
  for (std::int64_t bag = 0; bag < bags.num_bags(); ++bag) {
    const auto b = static_cast<std::size_t>(bag);
    for (int piece = 0; piece < plan_.column_pieces; ++piece) {
      std::fill(lookups.begin(), lookups.end(), 0);
      for (std::int64_t i = bags.offsets[b]; i < bags.offsets[b + 1]; ++i) {
        const std::int64_t id = bags.ids[static_cast<std::size_t>(i)];
        if (is_read(id)) ++lookups[static_cast<std::size_t>(owner_of(id, piece))];
      }
      for (int owner = 0; owner < links_.num_ranks; ++owner) {
        const std::int64_t count = lookups[static_cast<std::size_t>(owner)];
        if (count == 0) continue;
        add(links_.forward, rank, owner,
            bag_part_bytes(feature) + count * bag_lookup_bytes(feature));
        add(links_.forward, owner, rank, bag_sum_bytes(columns(piece)));
        if (trains(table_) || feature.weight_gradients) {
          add(links_.backward, rank, owner, bag_gradient_bytes(feature, columns(piece)));
        }
        add(links_.backward, owner, rank, count * bag_weight_gradient_bytes(feature));
      }
    }
  }
}

}  // namespace

link_bytes count_traffic(const sharding_plan& plan, std::span<const table_config> tables,
                         std::span<const std::vector<feature_statistics>> features,
                         std::span<const rank_batch> batches) {
  const layout layout(plan, tables);
  link_bytes links(plan.num_ranks);
  for (int from = 0; from < plan.num_ranks; ++from) {
    for (int to = 0; to < plan.num_ranks; ++to) {
      if (from != to) links.agreements[links.index(from, to)] = 3 * ranks::frame_bytes;
    }
  }
  for (const table_plan& part : plan.tables) {
    const auto t = static_cast<std::size_t>(
        std::find_if(tables.begin(), tables.end(),
                     [&](const table_config& table) { return table.name == part.table; }) -
        tables.begin());
    table_traffic table(links, part, tables[t], static_cast<std::uint32_t>(t));
    if (part.exchange == row_exchange::partial_bags) {
      for (std::size_t rank = 0; rank < batches.size(); ++rank) {
        for (std::size_t f = 0; f < features[t].size(); ++f) {
          table.count_partial_bags(static_cast<int>(rank), features[t][f], batches[rank][t][f]);
        }
      }
      table.count_agreements(layout, t, features[t].size());
      continue;
    }
    for (std::size_t rank = 0; rank < batches.size(); ++rank) {
      table.count_forward(static_cast<int>(rank), batches[rank][t]);
    }
    for (std::size_t f = 0; f < features[t].size() && trains(tables[t]); ++f) {
      std::vector<const host_bags*> of_ranks;
      for (const rank_batch& batch : batches) of_ranks.push_back(&batch[t][f]);
      table.count_backward(features[t][f], of_ranks);
    }
    table.count_lanes(batches, t);
    table.count_agreements(layout, t, features[t].size());
  }
  return links;
}

}  // namespace warpbag::sharding
