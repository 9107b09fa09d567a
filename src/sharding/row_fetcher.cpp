// SPDX-License-Identifier: Apache-2.0
#include "sharding/row_fetcher.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

namespace warpbag::sharding {

namespace {

constexpr std::array all_types = {dtype::f32, dtype::f16, dtype::bf16};

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

std::int64_t element_bytes(dtype type) { return static_cast<std::int64_t>(size_of(type)); }

}  // namespace

row_fetcher::row_fetcher(const layout& layout, shard_memory& shards, const padding_rows& padding,
                         const std::vector<table_config>& configs, int rank,
                         operations::device_access& access)
    : layout_(&layout),
      shards_(&shards),
      padding_(&padding),
      configs_(&configs),
      access_(&access),
      norm_sums_(layout, rank, access),
      fetched_memory_(access),
      served_memory_(access),
      before_memory_(access) {
  for (std::size_t t = 0; t < configs.size(); ++t) {
    norms_over_pieces_.push_back(configs[t].max_norm && layout.tables()[t].pieces.size() > 1);
  }
}

/// One matrix a table; where columns come in several pieces, room for each piece beside it.
void row_fetcher::place_rows(const routed_batch& batch) {
  const std::size_t num_tables = configs_->size();
  memory_cut cut;
  std::vector<std::int64_t> offsets;
  for (std::size_t t = 0; t < num_tables; ++t) {
    const table_config& config = (*configs_)[t];
    const std::int64_t num_rows = batch.found.num_rows(t);
    offsets.push_back(
        cut.add<std::byte>((num_rows + 1) * config.embedding_dim * element_bytes(config.type)));
    if (layout_->tables()[t].pieces.size() < 2) continue;
    for (const column_piece& piece : layout_->tables()[t].pieces) {
      offsets.push_back(
          cut.add<std::byte>(num_rows * piece.num_columns * element_bytes(config.type)));
    }
  }
  std::byte* const memory = fetched_memory_.get_bytes(cut.bytes());
  rows_.clear();
  piece_rows_.assign(num_tables, {});
  auto offset = offsets.begin();
  for (std::size_t t = 0; t < num_tables; ++t) {
    const table_config& config = (*configs_)[t];
    rows_.emplace_back(memory + *offset++, config.type, batch.found.num_rows(t),
                       config.embedding_dim);
    padding_->copy_to(t, static_cast<std::byte*>(rows_[t].data) +
                             rows_[t].rows * rows_[t].dim * element_bytes(config.type));
    const std::size_t num_pieces = layout_->tables()[t].pieces.size();
    for (std::size_t p = 0; p < num_pieces; ++p) {
      piece_rows_[t].push_back(num_pieces == 1 ? static_cast<std::byte*>(rows_[t].data)
                                               : memory + *offset++);
    }
  }
}

void row_fetcher::list_served(const routed_batch& batch) {
  memory_cut cut;
  std::vector<std::int64_t> offsets;
  served_.clear();
  for (std::size_t s = 0; s < shards_->shards().size(); ++s) {
    const shard& shard = shards_->shards()[s];
    served_rows served;
    served.shard = s;
    if (shard.is_replica) {  // straight to where they are wanted: the last rows of the table
      const tensor_view& rows = rows_[shard.table];
      served.count = batch.found.counts[shard.table].back();
      const std::int64_t first = rows.rows - served.count;
      served.rows = batch.found.rows + batch.found.first_row[shard.table] + first;
      served.values =
          static_cast<std::byte*>(rows.data) + first * rows.dim * element_bytes(rows.type);
    } else if (layout_->tables()[shard.table].partial_bags) {
      offsets.push_back(cut.add<std::byte>(0));  // pooled here, not sent
    } else {
      served.count = sum(batch.requests[s]);
      served.rows = batch.requested[s];
      offsets.push_back(cut.add<std::byte>(served.count * shard.record.dim *
                                           element_bytes(shard.record.row_type)));
    }
    served_.push_back(served);
  }
  std::byte* const memory = served_memory_.get_bytes(cut.bytes());
  for (std::size_t s = 0; s < offsets.size(); ++s) served_[s].values = memory + offsets[s];
}

/// Rows that any rank reads, of shards with max_norm.
void row_fetcher::list_renormalized(const routed_batch& batch) {
  memory_cut cut;
  std::vector<std::int64_t> offsets;
  renormalized_.clear();
  std::size_t replica_requests = shards_->num_parts();
  for (std::size_t s = 0; s < shards_->shards().size(); ++s) {
    const shard& shard = shards_->shards()[s];
    if (!shard.record.renormalize) continue;
    const std::size_t requests = shard.is_replica ? replica_requests++ : s;
    const std::int64_t count = sum(batch.requests[requests]);
    renormalized_.push_back({s, batch.requested[requests], count, nullptr});
    offsets.push_back(
        cut.add<std::byte>(count * shard.record.dim * element_bytes(shard.record.row_type)));
  }
  std::byte* const memory = before_memory_.get_bytes(cut.bytes());
  for (std::size_t k = 0; k < offsets.size(); ++k) renormalized_[k].values = memory + offsets[k];
}

/// Copies the listed rows to their `values`; one call for each type of rows.
void row_fetcher::read_rows(working_backend& backend, const std::vector<served_rows>& list) {
  for (const dtype type : all_types) {
    call_.tables.clear();
    call_.features.clear();
    call_.output_type = type;
    for (const served_rows& served : list) {
      const shard& shard = shards_->shards()[served.shard];
      if (shard.record.row_type != type || served.count == 0) continue;
      call_.features.push_back(row_list(call_.tables.size(), served.rows, served.count));
      call_.features.back().output = served.values;
      call_.features.back().output_stride = shard.record.dim;
      call_.tables.push_back(shard.record);
    }
    if (call_.features.empty()) continue;
    lay_out(call_);
    operations::backend& work = backend.prepared(call_);
    const operations::problem problem = call_.problem(bad_id_policy::error);
    work.check_inputs(problem);
    work.pool(problem);
  }
}

/// Returns the bytes sent to other ranks.
std::int64_t row_fetcher::renormalize(rank_calls& calls, working_backend& backend) {
  call_.tables.clear();
  call_.features.clear();
  call_shards_.clear();
  for (const served_rows& rows : renormalized_) {
    if (rows.count > 0) {
      call_.features.push_back(row_list(call_.tables.size(), rows.rows, rows.count));
    }
    call_.tables.push_back(shards_->shards()[rows.shard].record);
    call_shards_.push_back(rows.shard);
  }
  lay_out(call_);
  operations::backend& work = backend.prepared(call_);
  const bool any = !call_.tables.empty();
  if (any) {
    work.check_inputs(call_.problem(bad_id_policy::error));
    work.deduplicate(call_.problem(bad_id_policy::error));
  }
  const std::int64_t sent = sum_norms(calls, work);
  changed_ = any;
  if (any) work.renormalize_rows(call_.problem(bad_id_policy::error));
  return sent;
}

/// Collective where a table has max_norm and several pieces of columns: gives these tables of call_
/// the lanes of whole rows. Returns the bytes sent to other ranks.
std::int64_t row_fetcher::sum_norms(rank_calls& calls, operations::backend& backend) {
  if (std::find(norms_over_pieces_.begin(), norms_over_pieces_.end(), true) ==
      norms_over_pieces_.end()) {
    return 0;
  }
  const auto in_pieces = [&](std::size_t k) {
    const shard& shard = shards_->shards()[call_shards_[k]];
    return !shard.is_replica && norms_over_pieces_[shard.table];
  };
  std::vector<std::int64_t> rows;  // global, of all tables of call_
  if (!call_.tables.empty()) {
    rows = backend.copy_occurrences(call_.problem(bad_id_policy::error)).rows;
  }
  std::vector<lane_part> parts;
  for (std::size_t k = 0; k < call_.tables.size(); ++k) {
    if (!in_pieces(k)) continue;
    const std::int64_t first = call_.tables[k].first_row;
    const auto begin = std::lower_bound(rows.begin(), rows.end(), first);
    const auto end = std::lower_bound(begin, rows.end(), first + call_.tables[k].num_rows);
    parts.push_back({call_shards_[k], end - begin, {}});
  }
  norm_sums_.place(std::move(parts), backend);
  const auto& mine = layout_->parts_of(calls.rank());
  const auto set_lanes = [&](collection::call_records& call, auto wanted) {
    for (std::size_t k = 0; k < call.tables.size(); ++k) {
      const lane_part* const lanes = norm_sums_.lanes_of(call_shards_[k]);
      if (lanes == nullptr || !in_pieces(k)) continue;
      float*(&arrays)[num_lane_arrays] = call.tables[k].shard.row_lanes;
      std::copy(lanes->lanes.begin(), lanes->lanes.end(), arrays);
      if (!wanted(mine[call_shards_[k]].piece)) arrays[0] = nullptr;
    }
  };
  constexpr std::array first = {0};
  const std::int64_t sent =
      norm_sums_.sum(calls, norms_over_pieces_, first, [&](std::size_t piece) {
        if (call_.tables.empty()) return;
        collection::call_records of_piece = call_;
        set_lanes(of_piece, [piece](std::size_t other) { return other == piece; });
        backend.add_row_lanes(of_piece.problem(bad_id_policy::error),
                              operations::row_reduction::max_norm);
      });
  set_lanes(call_, [](std::size_t) { return true; });
  return sent;
}

std::int64_t row_fetcher::fetch(rank_calls& calls, const routed_batch& batch,
                                working_backend& backend) {
  changed_ = false;
  place_rows(batch);
  list_served(batch);
  list_renormalized(batch);
  read_rows(backend, renormalized_);
  std::int64_t sent = renormalize(calls, backend);
  read_rows(backend, served_);
  sent += exchange(calls, batch);
  join_columns(batch);
  return sent;
}

std::int64_t row_fetcher::exchange(rank_calls& calls, const routed_batch& batch) {
  std::vector<send_piece> sends;
  for (std::size_t s = 0; s < shards_->num_parts(); ++s) {
    if (layout_->tables()[shards_->shards()[s].table].partial_bags) continue;
    const operations::table_record& record = shards_->shards()[s].record;
    const std::int64_t row_bytes = record.dim * element_bytes(record.row_type);
    auto* next = static_cast<std::byte*>(served_[s].values);
    for (std::size_t rank = 0; rank < batch.requests[s].size(); ++rank) {
      const std::int64_t bytes = batch.requests[s][rank] * row_bytes;
      sends.push_back({static_cast<int>(rank), next, bytes});
      next += bytes;
    }
  }
  std::vector<receive_piece> receives;
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    const auto& pieces = layout_->tables()[t].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      std::byte* next = piece_rows_[t][p];
      for (std::size_t owner = 0; owner < pieces[p].ranks.size(); ++owner) {
        const std::int64_t bytes =
            batch.found.counts[t][owner] * pieces[p].num_columns * element_bytes(rows_[t].type);
        receives.push_back({pieces[p].ranks[owner], next, bytes});
        next += bytes;
      }
    }
  }
  return calls.exchange(sends, receives);
}

void row_fetcher::join_columns(const routed_batch& batch) {
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    const auto& pieces = layout_->tables()[t].pieces;
    if (pieces.size() < 2) continue;
    const std::int64_t owned = rows_[t].rows - batch.found.counts[t].back();
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      const const_tensor_view from(piece_rows_[t][p], rows_[t].type, owned, pieces[p].num_columns);
      const tensor_view to(static_cast<std::byte*>(rows_[t].data) +
                               pieces[p].first_column * element_bytes(rows_[t].type),
                           rows_[t].type, owned, pieces[p].num_columns, rows_[t].dim);
      access_->copy_rows(to, from);
    }
  }
}

/// On the host, row by row: it runs only when a rank was lost in the middle of a forward.
void row_fetcher::undo(operations::backend& backend) {
  if (!changed_) return;
  changed_ = false;
  for (const served_rows& list : renormalized_) {
    const operations::table_record& record = shards_->shards()[list.shard].record;
    std::vector<std::int64_t> rows(static_cast<std::size_t>(list.count));
    access_->read(rows.data(), list.rows, rows.size() * sizeof(std::int64_t));
    const std::int64_t row_bytes = record.dim * element_bytes(record.row_type);
    std::set<std::int64_t> written;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!written.insert(rows[k]).second) continue;
      backend.write_rows(
          record, list.rows + k, 1,
          static_cast<const std::byte*>(list.values) + static_cast<std::int64_t>(k) * row_bytes);
    }
  }
}

}  // namespace warpbag::sharding
