// SPDX-License-Identifier: Apache-2.0
#include "sharding/gradient_exchange.hpp"

#include <numeric>

namespace warpbag::sharding {

namespace {

template <typename Element>
std::int64_t bytes_of(std::int64_t count) {
  return count * static_cast<std::int64_t>(sizeof(Element));
}

}  // namespace

gradient_exchange::gradient_exchange(const layout& layout, shard_memory& shards,
                                     const collection::configured_tables& configured,
                                     std::span<const std::size_t> table_of_feature,
                                     operations::device_access& access)
    : layout_(&layout),
      shards_(&shards),
      configured_(&configured),
      table_of_feature_(table_of_feature.begin(), table_of_feature.end()),
      access_(&access),
      num_ranks_(layout.num_ranks()),
      memory_(access) {
  for (std::size_t f = 0; f < table_of_feature.size(); ++f) {
    for (std::size_t s = 0; s < shards.shards().size(); ++s) {
      if (shards.shards()[s].table != table_of_feature[f]) continue;
      if (configured.tables()[table_of_feature[f]].freeze) continue;
      arriving_sums& sums = arriving_.emplace_back();
      sums.shard = s;
      sums.feature = f;
      sums.in_bags = layout.tables()[table_of_feature[f]].partial_bags;
    }
  }
}

bool gradient_exchange::exchanges_sums(std::size_t table) const {
  return !configured_->tables()[table].freeze && !layout_->tables()[table].partial_bags;
}

/// In the order of the rank's shards: its parts, then its replica.
std::vector<gradient_exchange::target_part> gradient_exchange::targets(std::size_t feature,
                                                                       int rank) const {
  const std::size_t table = table_of_feature_[feature];
  std::vector<target_part> result;
  if (!exchanges_sums(table)) return result;
  for (const table_part& part : layout_->parts_of(rank)) {
    if (part.table != table) continue;
    result.push_back({part.piece, static_cast<std::size_t>(part.owner), false});
  }
  const table_layout& layout = layout_->tables()[table];
  if (layout.has_replica()) {
    result.push_back({0, static_cast<std::size_t>(layout.num_owners), true});
  }
  return result;
}

std::vector<std::int64_t> gradient_exchange::announce(const rank_sums& sums, int to) const {
  std::vector<std::int64_t> words;
  for (std::size_t f = 0; f < table_of_feature_.size(); ++f) {
    for (const target_part& target : targets(f, to)) {
      for (const subtree_sums* round : sums) {
        const auto& counts = round->of(f).counts;
        words.push_back(counts.empty() ? 0 : counts[target.destination]);
      }
    }
  }
  return words;
}

std::int64_t gradient_exchange::announced_size(int rank) const {
  std::size_t size = 0;
  for (std::size_t f = 0; f < table_of_feature_.size(); ++f) {
    size += targets(f, rank).size() * num_rounds;
  }
  return static_cast<std::int64_t>(size);
}

const float* gradient_exchange::columns_of(const feature_sums& sums, std::size_t table,
                                           std::size_t piece) {
  const auto& pieces = layout_->tables()[table].pieces;
  const std::int64_t dim = configured_->tables()[table].embedding_dim;
  const std::int64_t total = sums.total();
  if (pieces.size() < 2 || total == 0) return sums.values;
  const column_piece& columns = pieces[piece];
  columns_.emplace_back(*access_,
                        static_cast<std::size_t>(bytes_of<float>(total * columns.num_columns)));
  float* const packed = columns_.back().as<float>();
  access_->copy_rows(tensor_view(packed, dtype::f32, total, columns.num_columns),
                     const_tensor_view(sums.values + columns.first_column, dtype::f32, total,
                                       columns.num_columns, dim));
  return packed;
}

void gradient_exchange::list_sends(const rank_sums& sums, std::vector<send_piece>& sends) {
  columns_.clear();
  for (std::size_t f = 0; f < table_of_feature_.size(); ++f) {
    const std::size_t table = table_of_feature_[f];
    const auto& pieces = layout_->tables()[table].pieces;
    // [round][piece], made when first wanted: every owner of a piece gets a range of the same rows.
    std::vector<std::vector<const float*>> columns(num_rounds);
    for (auto& of_round : columns) of_round.assign(pieces.size(), nullptr);
    for (int to = 0; to < num_ranks_; ++to) {
      for (const target_part& target : targets(f, to)) {
        for (std::size_t round = 0; round < num_rounds; ++round) {
          const feature_sums& part = sums[round]->of(f);
          if (part.counts.empty() || part.counts[target.destination] == 0) continue;
          const std::int64_t count = part.counts[target.destination];
          const auto destination = static_cast<std::ptrdiff_t>(target.destination);
          const std::int64_t first = std::accumulate(
              part.counts.begin(), part.counts.begin() + destination, std::int64_t{0});
          const float* values = part.values;
          std::int64_t width = configured_->tables()[table].embedding_dim;
          if (!target.is_replica) {
            width = pieces[target.piece].num_columns;
            const float*& packed = columns[round][target.piece];
            if (packed == nullptr) packed = columns_of(part, table, target.piece);
            values = packed;
          }
          sends.push_back({to, part.packed + first, bytes_of<std::int64_t>(count)});
          if (part.occurrences != nullptr) {
            sends.push_back({to, part.occurrences + first, bytes_of<std::uint32_t>(count)});
          }
          sends.push_back({to, values + first * width, bytes_of<float>(count * width)});
        }
      }
    }
  }
}

void gradient_exchange::take(std::span<const given_bags> bags) {
  for (const given_bags& given : bags) {
    for (arriving_sums& sums : arriving_) {
      if (sums.shard != given.shard || sums.feature != given.feature) continue;
      sums.bags = given.record;
      sums.total = given.record.num_ids;
    }
  }
}

void gradient_exchange::read_announced(std::span<const std::vector<std::int64_t>> announced) {
  std::ptrdiff_t next = 0;
  for (arriving_sums& sums : arriving_) {
    if (sums.in_bags) continue;
    sums.counts.clear();
    for (const auto& words : announced) {
      const auto begin = words.begin() + next;
      sums.counts.insert(sums.counts.end(), begin, begin + num_rounds);
    }
    next += std::ptrdiff_t{num_rounds};
    sums.total = std::accumulate(sums.counts.begin(), sums.counts.end(), std::int64_t{0});
  }
}

void gradient_exchange::place() {
  struct offsets {
    std::int64_t packed, occurrences, values, rows, partials;
  };
  memory_cut cut;
  std::vector<offsets> placed;
  for (const arriving_sums& sums : arriving_) {
    const operations::table_record& record = shards_->shards()[sums.shard].record;
    const std::int64_t num_sums = sums.in_bags ? 0 : sums.total;
    placed.push_back({cut.add<std::int64_t>(num_sums),
                      cut.add<std::uint32_t>(record.scale_grad_by_freq ? num_sums : 0),
                      cut.add<float>(num_sums * record.dim), cut.add<std::int64_t>(sums.total),
                      cut.add<operations::partial_record>(num_sums)});
  }
  std::byte* const memory = memory_.get_bytes(cut.bytes());
  const auto at = [memory]<typename Element>(std::int64_t offset, Element*& pointer) {
    pointer = reinterpret_cast<Element*>(memory + offset);
  };
  for (std::size_t k = 0; k < arriving_.size(); ++k) {
    arriving_sums& sums = arriving_[k];
    const bool counted = shards_->shards()[sums.shard].record.scale_grad_by_freq;
    at(placed[k].packed, sums.packed);
    at(placed[k].values, sums.values);
    at(placed[k].rows, sums.rows);
    at(placed[k].partials, sums.partials);
    if (counted) at(placed[k].occurrences, sums.occurrences);
  }
}

void gradient_exchange::list_receives(std::vector<receive_piece>& receives) const {
  for (const arriving_sums& sums : arriving_) {
    const std::int64_t width = shards_->shards()[sums.shard].record.dim;
    std::int64_t first = 0;
    for (std::size_t k = 0; k < sums.counts.size(); ++k) {
      const int from = static_cast<int>(k / num_rounds);
      const std::int64_t count = sums.counts[k];
      receives.push_back({from, sums.packed + first, bytes_of<std::int64_t>(count)});
      if (sums.occurrences != nullptr) {
        receives.push_back({from, sums.occurrences + first, bytes_of<std::uint32_t>(count)});
      }
      receives.push_back({from, sums.values + first * width, bytes_of<float>(count * width)});
      first += count;
    }
  }
}

std::int64_t gradient_exchange::exchange(rank_calls& calls, const rank_sums& sums,
                                         std::span<const std::vector<std::int64_t>> announced) {
  read_announced(announced);
  place();
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  list_sends(sums, sends);
  list_receives(receives);
  return calls.exchange(sends, receives);
}

/// Each arriving sum is a lookup of its row that stands for a subtree (operations::partial_record);
/// features in order, as N3 adds them.
void gradient_exchange::list_arrived(collection::call_records& call) const {
  call.features.clear();
  for (const arriving_sums& sums : arriving_) {
    const operations::table_record& table = call.tables[sums.shard];
    if (sums.total == 0 || table.gradient.form == operations::gradient_form::none) continue;
    if (sums.in_bags) {
      call.features.push_back(sums.bags);
      call.features.back().table = static_cast<std::int32_t>(sums.shard);
      call.features.back().ids = sums.rows;
      continue;
    }
    operations::feature_record feature = row_list(sums.shard, sums.rows, sums.total);
    feature.partials = sums.partials;
    feature.gradient = sums.values;
    feature.gradient_stride = table.dim;
    call.features.push_back(feature);
  }
  lay_out(call);
}

std::int64_t gradient_exchange::num_arrived(std::size_t shard) const {
  std::int64_t total = 0;
  for (const arriving_sums& sums : arriving_) total += sums.shard == shard ? sums.total : 0;
  return total;
}

void gradient_exchange::unpack(operations::backend& backend) const {
  for (const arriving_sums& sums : arriving_) {
    if (sums.total == 0) continue;
    if (sums.in_bags) {
      access_->copy(sums.rows, sums.bags.ids,
                    static_cast<std::size_t>(bytes_of<std::int64_t>(sums.total)));
      continue;
    }
    backend.unpack_partials(sums.total, sums.packed, sums.occurrences, sums.rows, sums.partials);
  }
}

void gradient_exchange::number_by_id(const arriving_sums& sums) const {
  const shard& shard = shards_->shards()[sums.shard];
  if (sums.total == 0 || shard.has_rows_by_id()) return;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(sums.total));
  access_->read(rows.data(), sums.rows, rows.size() * sizeof(std::int64_t));
  for (std::int64_t& row : rows) row = shard.id_of(row);
  access_->write(sums.rows, rows.data(), rows.size() * sizeof(std::int64_t));
}

void gradient_exchange::finish(const collection::call_records& call, operations::backend& backend) {
  if (call.tables.empty()) return;  // nothing of any table is here
  const operations::problem problem = call.problem(bad_id_policy::error);
  backend.check_inputs(problem);
  backend.deduplicate(problem);
  backend.reduce_gradients(problem);
}

}  // namespace warpbag::sharding
