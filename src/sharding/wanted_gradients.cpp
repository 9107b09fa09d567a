// SPDX-License-Identifier: Apache-2.0
#include "sharding/wanted_gradients.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "numerics/float_formats.hpp"

namespace warpbag::sharding {

namespace {

using operations::gradient_form;
using operations::gradient_record;

template <typename Stored>
void narrow_to(std::byte* to, const float* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto stored = numerics::narrow<Stored>(from[i]);
    std::memcpy(to + i * sizeof(stored), &stored, sizeof(stored));
  }
}

/// Rounded to nearest even, as reduce_gradients stores them; `rows` rows from `first` on.
std::vector<std::byte> stored_rows(const host_gradient& gradient, std::span<const std::size_t> rows,
                                   dtype type) {
  if (rows.empty()) return {};
  const std::size_t dim = gradient.values.size() / gradient.rows.size();
  const std::size_t row_bytes = dim * size_of(type);
  std::vector<std::byte> result(rows.size() * row_bytes);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    std::byte* const to = result.data() + k * row_bytes;
    const float* const from = gradient.values.data() + rows[k] * dim;
    switch (type) {
      case dtype::f32: std::memcpy(to, from, row_bytes); break;
      case dtype::f16: narrow_to<numerics::f16>(to, from, dim); break;
      case dtype::bf16: narrow_to<numerics::bf16>(to, from, dim); break;
    }
  }
  return result;
}

std::vector<std::size_t> all_of(const host_gradient& gradient) {
  std::vector<std::size_t> order(gradient.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

}  // namespace

rank_operation operation_of(const collection::gradient_target& target) {
  if (std::holds_alternative<collection::fused_target>(target)) return rank_operation::backward;
  const bool sparse = std::holds_alternative<std::span<const sparse_gradient>>(target);
  return sparse ? rank_operation::backward_sparse : rank_operation::backward_dense;
}

wanted_gradients::wanted_gradients(const shard_memory& shards,
                                   const collection::configured_tables& configured,
                                   operations::device_access& access)
    : shards_(&shards),
      configured_(&configured),
      access_(&access),
      checks_(shards, configured),
      records_(shards.shards().size()) {}

std::int64_t wanted_gradients::capacity(std::size_t shard, const routed_batch& batch) const {
  const sharding::shard& of = shards_->shards()[shard];
  if (of.is_replica) return of.num_rows;
  const auto& asked = batch.requests[shard];
  return std::min(of.num_rows, std::accumulate(asked.begin(), asked.end(), std::int64_t{0}));
}

void wanted_gradients::take(const collection::gradient_target& target, const routed_batch& batch,
                            const collection::call_records& call) {
  const auto* sparse = std::get_if<std::span<const sparse_gradient>>(&target);
  const auto* dense = std::get_if<std::span<const tensor_view>>(&target);
  std::fill(records_.begin(), records_.end(), gradient_record());
  if (sparse == nullptr && dense == nullptr) return;
  checks_.check_count(sparse != nullptr ? sparse->size() : dense->size());
  for (std::size_t s = 0; s < records_.size(); ++s) {
    const shard& of = shards_->shards()[s];
    if (configured_->tables()[of.table].freeze) continue;
    const std::int64_t dim = of.record.dim;
    if (sparse != nullptr) {
      records_[s] =
          collection::sparse_record((*sparse)[s], dim, capacity(s, batch), checks_.name(s));
    } else {
      const gradient_record record =
          collection::dense_record((*dense)[s], of.num_rows, dim, checks_.name(s));
      if (of.num_rows > 0) records_[s] = record;  // nothing to write where there are no rows
    }
  }
  checks_.check_overlaps(records_, call, collection::call_phase::backward);
}

void wanted_gradients::prepare(rank_calls& calls, const gradient_exchange& arrived,
                               joined_updates& joined, working_backend& backend) {
  joined.prepare_clipped(calls, arrived, backend);
  const auto here = [&](std::size_t s) { return is_wanted(s) && !joined.clips(s); };
  arrived.number_by_id(
      [&](std::size_t s) { return here(s) && records_[s].form == gradient_form::sparse; });
  arrived.make_call(
      here, [this](std::size_t s) { return records_[s]; }, call_);
  for (std::size_t s = 0; s < call_.tables.size(); ++s) {
    operations::table_record& table = call_.tables[s];
    if (!is_wanted(s)) continue;
    table.gradient = records_[s];
    // Sums that another call finishes: here the dense gradient becomes zero, and no more.
    if (!here(s) && table.gradient.form == gradient_form::sparse) table.gradient = {};
    if (table.gradient.form != gradient_form::sparse) continue;
    table.num_rows = configured_->tables()[shards_->shards()[s].table].num_embeddings;
    table.rows = nullptr;  // which are not those of the ids
  }
  lay_out(call_);
  backend.prepared(call_);
}

void wanted_gradients::give(const joined_updates& joined, operations::backend& backend) const {
  gradient_exchange::finish(call_, backend);
  for (std::size_t s = 0; s < records_.size(); ++s) {
    if (!is_wanted(s) || !joined.clips(s)) continue;
    if (records_[s].form == gradient_form::sparse) {
      give_sparse(s, joined.clipped(s));
    } else {
      give_dense(s, joined.clipped(s), backend);
    }
  }
}

void wanted_gradients::give_sparse(std::size_t shard, const host_gradient& gradient) const {
  const gradient_record& to = records_[shard];
  std::vector<std::int64_t> ids = gradient.rows;
  for (std::int64_t& id : ids) id = shards_->shards()[shard].id_of(id);
  std::vector<std::size_t> order = all_of(gradient);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  const std::vector<std::byte> values = stored_rows(gradient, order, to.value_type);
  std::sort(ids.begin(), ids.end());
  const auto count = static_cast<std::int64_t>(ids.size());
  access_->write(to.count, &count, sizeof(count));
  if (count == 0) return;
  access_->write(to.rows, ids.data(), ids.size() * sizeof(std::int64_t));
  access_->write(to.values, values.data(), values.size());
}

void wanted_gradients::give_dense(std::size_t shard, const host_gradient& gradient,
                                  operations::backend& backend) const {
  if (gradient.rows.empty()) return;
  const operations::table_record& part = shards_->shards()[shard].record;
  operations::table_record to;
  to.rows = records_[shard].values;
  to.row_type = records_[shard].value_type;
  to.num_rows = part.num_rows;
  to.dim = part.dim;
  to.row_stride = part.dim;
  const std::vector<std::byte> values = stored_rows(gradient, all_of(gradient), to.row_type);
  const std::size_t row_bytes = gradient.rows.size() * sizeof(std::int64_t);
  const collection::device_buffer rows(*access_, row_bytes);
  const collection::device_buffer placed(*access_, values.size());
  access_->write(rows.data(), gradient.rows.data(), row_bytes);
  access_->write(placed.data(), values.data(), values.size());
  backend.write_rows(to, rows.as<std::int64_t>(), static_cast<std::int64_t>(gradient.rows.size()),
                     placed.data());
}

}  // namespace warpbag::sharding
