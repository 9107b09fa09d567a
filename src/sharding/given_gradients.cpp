// SPDX-License-Identifier: Apache-2.0
#include "sharding/given_gradients.hpp"

#include <algorithm>
#include <map>

#include "collection/refuse.hpp"
#include "collection/validate.hpp"

namespace warpbag::sharding {

namespace {

using operations::gradient_form;
using operations::gradient_record;

void add_numbers(io::checksum& hash, std::span<const std::int64_t> numbers) {
  const auto count = static_cast<std::int64_t>(numbers.size());
  hash.add(std::as_bytes(std::span(&count, 1)));
  hash.add(std::as_bytes(numbers));
}

}  // namespace

given_gradients::given_gradients(const layout& layout, const shard_memory& shards,
                                 const collection::configured_tables& configured,
                                 operations::device_access& access)
    : layout_(&layout),
      shards_(&shards),
      configured_(&configured),
      access_(&access),
      checks_(shards, configured),
      records_(shards.shards().size()),
      ids_(shards.shards().size()),
      rows_(shards.shards().size()),
      part_hashes_(shards.num_parts()),
      memory_(access) {}

void given_gradients::take(std::span<const sparse_gradient> gradients) {
  checks_.check_count(gradients.size());
  for (std::size_t s = 0; s < records_.size(); ++s) {
    const shard& of = shards_->shards()[s];
    if (configured_->tables()[of.table].freeze) continue;
    records_[s] = collection::sparse_record(gradients[s], of.record.dim, 0, checks_.name(s));
  }
  collection::call_records no_batch;
  no_batch.tables.resize(configured_->tables().size());
  checks_.check_overlaps(records_, no_batch, collection::call_phase::apply);
  io::checksum replicas;
  for (std::size_t s = 0; s < records_.size(); ++s) {
    const shard& of = shards_->shards()[s];
    if (records_[s].form == gradient_form::none) continue;
    read_rows(s, records_[s]);
    if (of.is_replica) {
      hash_replica(s, replicas);
    } else if (layout_->tables()[of.table].pieces.size() > 1) {
      io::checksum hash;
      add_numbers(hash, ids_[s]);
      part_hashes_[s] = static_cast<std::int64_t>(hash.value());
    }
  }
  replica_hash_ = replicas.value();
}

void given_gradients::read_rows(std::size_t shard, const gradient_record& gradient) {
  const sharding::shard& of = shards_->shards()[shard];
  const std::int64_t num_ids = configured_->tables()[of.table].num_embeddings;
  const std::vector<std::int64_t>& replicated = layout_->tables()[of.table].replicated;
  const collection::subject name = checks_.name(shard);
  std::int64_t count = 0;
  access_->read(&count, gradient.count, sizeof(count));
  if (count < 0 || count > gradient.capacity) {
    collection::refuse(name, ": the gradient's count is ", count, ", must be in [0, ",
                       gradient.capacity, "]");
  }
  std::vector<std::int64_t>& ids = ids_[shard];
  std::vector<std::int64_t>& rows = rows_[shard];
  ids.resize(static_cast<std::size_t>(count));
  rows.clear();
  if (count == 0) return;
  access_->read(ids.data(), gradient.rows, ids.size() * sizeof(std::int64_t));
  std::int64_t previous = -1;
  for (const std::int64_t id : ids) {
    if (id <= previous || id >= num_ids) {
      collection::refuse(name, ": row ", rows.size(), " of the gradient is ", id, ", must be in (",
                         previous, ", ", num_ids, ")");
    }
    previous = id;
    const bool elsewhere =
        !of.is_replica && std::binary_search(replicated.begin(), replicated.end(), id);
    rows.push_back(elsewhere ? -1 : of.row_of(id));
    if (rows.back() < 0) {
      collection::refuse(name, ": row ", rows.size() - 1, " of the gradient is ", id,
                         ", which this shard does not hold");
    }
  }
}

void given_gradients::hash_replica(std::size_t shard, io::checksum& hash) const {
  constexpr std::size_t piece_bytes = std::size_t{1} << 20;
  const gradient_record& gradient = records_[shard];
  add_numbers(hash, ids_[shard]);
  hash.add(std::as_bytes(std::span(&gradient.value_type, 1)));
  const std::size_t size = ids_[shard].size() *
                           static_cast<std::size_t>(shards_->shards()[shard].record.dim) *
                           size_of(gradient.value_type);
  std::vector<std::byte> piece;
  for (std::size_t begin = 0; begin < size; begin += piece.size()) {
    piece.resize(std::min(piece_bytes, size - begin));
    access_->read(piece.data(), static_cast<const std::byte*>(gradient.values) + begin,
                  piece.size());
    hash.add(piece);
  }
}

std::vector<std::vector<std::int64_t>> given_gradients::room_for_hashes() const {
  std::vector<std::vector<std::int64_t>> room;
  for (int rank = 0; rank < layout_->num_ranks(); ++rank) {
    room.emplace_back(layout_->parts_of(rank).size());
  }
  return room;
}

void given_gradients::check_pieces(std::span<const std::vector<std::int64_t>> hashes) const {
  std::map<std::pair<std::size_t, int>, std::int64_t> of_owner;  // by table and owner
  for (std::size_t rank = 0; rank < hashes.size(); ++rank) {
    const auto& parts = layout_->parts_of(static_cast<int>(rank));
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const auto [first, is_new] =
          of_owner.emplace(std::pair(parts[p].table, parts[p].owner), hashes[rank][p]);
      if (is_new || first->second == hashes[rank][p]) continue;
      throw rank_mismatch("rank " + std::to_string(rank) +
                              " gives gradients of other rows of table \"" +
                              configured_->tables()[parts[p].table].name +
                              "\" than the rank of its other columns does",
                          static_cast<int>(rank));
    }
  }
}

void given_gradients::prepare(rank_calls& calls, joined_updates& joined, working_backend& backend) {
  struct offsets {
    std::int64_t rows, count, step;
  };
  memory_cut cut;
  std::vector<offsets> placed;
  for (const std::vector<std::int64_t>& rows : rows_) {
    placed.push_back({cut.add<std::int64_t>(static_cast<std::int64_t>(rows.size())),
                      cut.add<std::int64_t>(1), cut.add<step_state>(1)});
  }
  std::byte* const memory = memory_.get_bytes(cut.bytes());
  call_.tables.clear();
  call_.features.clear();
  for (std::size_t s = 0; s < records_.size(); ++s) {
    operations::table_record& table = call_.tables.emplace_back(shards_->shards()[s].record);
    if (records_[s].form == gradient_form::none) continue;
    const auto count = static_cast<std::int64_t>(rows_[s].size());
    const std::size_t bytes = rows_[s].size() * sizeof(std::int64_t);
    table.gradient = records_[s];
    table.gradient.rows = reinterpret_cast<std::int64_t*>(memory + placed[s].rows);
    table.gradient.count = reinterpret_cast<std::int64_t*>(memory + placed[s].count);
    table.gradient.capacity = count;
    access_->write(table.gradient.count, &count, sizeof(count));
    if (count > 0) access_->write(table.gradient.rows, rows_[s].data(), bytes);
    // update_rows advances the state that it is given: shards of one table share theirs.
    auto* const step = reinterpret_cast<step_state*>(memory + placed[s].step);
    access_->copy(step, table.step, sizeof(step_state));
    table.step = step;
    table.optimizer.clipping = clipping_kind::none;  // a given gradient is finished
  }
  lay_out(call_);
  backend.prepared(call_);
  joined.prepare_given(calls, call_, backend);
}

void given_gradients::apply(operations::backend& backend) const {
  if (!call_.tables.empty()) backend.update_rows(call_.problem(bad_id_policy::error));
}

}  // namespace warpbag::sharding
