// SPDX-License-Identifier: Apache-2.0
#include "sharding/joined_updates.hpp"

#include <algorithm>

#include "numerics/lane_reduction.hpp"

namespace warpbag::sharding {

namespace {

using operations::row_reduction;

bool is_joined(const table_layout& table, const table_config& config) {
  return table.pieces.size() > 1 && !config.freeze && needs_row_sums(config.optimizer);
}

bool clips_by_norm(const optimizer_options& optimizer) {
  return optimizer.clipping == clipping_kind::norm;
}

}  // namespace

joined_updates::joined_updates(const layout& layout, int rank, const shard_memory& shards,
                               const collection::configured_tables& configured,
                               operations::device_access& access)
    : layout_(&layout),
      rank_(rank),
      shards_(&shards),
      configured_(&configured),
      access_(&access),
      joined_(shards.shards().size(), false),
      sums_(layout, rank, access),
      gradients_(access) {
  for (std::size_t t = 0; t < layout.tables().size(); ++t) {
    joined_tables_.push_back(is_joined(layout.tables()[t], configured.tables()[t]));
    any_ |= joined_tables_[t];
  }
  for (std::size_t part = 0; part < shards.num_parts(); ++part) {
    const std::size_t table = shards.shards()[part].table;
    if (!joined_tables_[table]) continue;
    joined_[part] = true;
    joined_parts_.push_back(part);
    if (clips(part)) clipped_parts_.push_back(part);
  }
}

bool joined_updates::clips(std::size_t shard) const {
  const std::size_t table = shards_->shards()[shard].table;
  return has(shard) && clips_by_norm(configured_->tables()[table].optimizer);
}

/// Finished gradients, lanes and a copy of the step state for each shard: update_rows advances the
/// state that it is given.
void joined_updates::place(const gradient_exchange& arrived, working_backend& backend,
                           const std::vector<std::size_t>& parts) {
  struct offsets {
    std::int64_t rows, values, count, step;
  };
  memory_cut cut;
  std::vector<offsets> placed;
  std::vector<lane_part> lanes;
  for (const std::size_t part : parts) {
    const operations::table_record& record = shards_->shards()[part].record;
    const std::int64_t rows = std::min(record.num_rows, arrived.num_arrived(part));
    placed.push_back({cut.add<std::int64_t>(rows), cut.add<float>(rows * record.dim),
                      cut.add<std::int64_t>(1), cut.add<step_state>(1)});
    lanes.push_back({part, rows, {}});
  }
  std::byte* const memory = gradients_.get_bytes(cut.bytes());
  sums_.place(std::move(lanes), backend.get());
  std::size_t k = 0;
  arrived.make_call([this](std::size_t s) { return sums_.lanes_of(s) != nullptr; },
                    [&](std::size_t) {
                      const offsets& place = placed[k];
                      operations::gradient_record gradient;
                      gradient.form = operations::gradient_form::sparse;
                      gradient.rows = reinterpret_cast<std::int64_t*>(memory + place.rows);
                      gradient.values = memory + place.values;
                      gradient.count = reinterpret_cast<std::int64_t*>(memory + place.count);
                      gradient.capacity = sums_.parts()[k++].num_rows;
                      return gradient;
                    },
                    call_);
  for (k = 0; k < parts.size(); ++k) {
    operations::table_record& table = call_.tables[parts[k]];
    auto* const step = reinterpret_cast<step_state*>(memory + placed[k].step);
    access_->copy(step, table.step, sizeof(step_state));
    table.step = step;
  }
  set_lanes(call_);
  backend.prepared(call_);
}

void joined_updates::set_lanes(collection::call_records& call) const {
  for (const lane_part& lanes : sums_.parts()) {
    std::copy(lanes.lanes.begin(), lanes.lanes.end(), call.tables[lanes.part].shard.row_lanes);
  }
}

void joined_updates::finish(operations::backend& backend) {
  gradient_exchange::finish(call_, backend);
  for (std::size_t k = 0; k < sums_.parts().size(); ++k) {
    std::int64_t rows = 0;
    access_->read(&rows, call_.tables[sums_.parts()[k].part].gradient.count, sizeof(rows));
    sums_.set_num_rows(k, rows);
  }
}

template <typename Needs>
std::int64_t joined_updates::sum(rank_calls& calls, const collection::call_records& call,
                                 row_reduction which, std::span<const int> arrays,
                                 operations::backend& backend, Needs needs) {
  std::vector<bool> wanted = joined_tables_;
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    wanted[t] = wanted[t] && needs(configured_->tables()[t].optimizer);
  }
  const auto& parts = layout_->parts_of(rank_);
  return sums_.sum(calls, wanted, arrays, [&](std::size_t piece) {
    if (sums_.parts().empty()) return;
    collection::call_records of_piece = call;
    for (const lane_part& lanes : sums_.parts()) {
      if (parts[lanes.part].piece == piece) continue;
      of_piece.tables[lanes.part].shard.row_lanes[0] = nullptr;
    }
    backend.add_row_lanes(of_piece.problem(bad_id_policy::error), which);
  });
}

std::int64_t joined_updates::sum_clip_norms(rank_calls& calls, const collection::call_records& call,
                                            operations::backend& backend) {
  constexpr std::array first = {0};
  return sum(calls, call, row_reduction::clip_norm, first, backend, clips_by_norm);
}

std::int64_t joined_updates::sum_for_update(rank_calls& calls, const collection::call_records& call,
                                            operations::backend& backend) {
  constexpr std::array second = {1};
  constexpr std::array both = {1, 2};
  const std::int64_t sent = sum(calls, call, row_reduction::mean_square, second, backend,
                                [](const auto& o) { return numerics::needs_mean_square(o.kind); });
  return sent + sum(calls, call, row_reduction::trust_ratio, both, backend,
                    [](const auto& o) { return o.kind == optimizer_kind::lamb; });
}

std::int64_t joined_updates::prepare(rank_calls& calls, const gradient_exchange& arrived,
                                     working_backend& backend) {
  if (!any_) return 0;
  place(arrived, backend, joined_parts_);
  finish(backend.get());
  const std::int64_t sent = sum_clip_norms(calls, call_, backend.get());
  return sent + sum_for_update(calls, call_, backend.get());
}

void joined_updates::update(operations::backend& backend) {
  if (!joined_parts_.empty()) backend.update_rows(call_.problem(bad_id_policy::error));
}

void joined_updates::prepare_given(rank_calls& calls, collection::call_records& call,
                                   working_backend& backend) {
  if (!any_) return;
  std::vector<lane_part> lanes;
  for (const std::size_t part : joined_parts_) {
    lanes.push_back({part, call.tables[part].gradient.capacity, {}});
  }
  sums_.place(std::move(lanes), backend.get());
  set_lanes(call);
  sum_for_update(calls, call, backend.prepared(call));
}

void joined_updates::prepare_clipped(rank_calls& calls, const gradient_exchange& arrived,
                                     working_backend& backend) {
  if (!any_) return;
  place(arrived, backend, clipped_parts_);
  finish(backend.get());
  sum_clip_norms(calls, call_, backend.get());
}

host_gradient joined_updates::clipped(std::size_t shard) const {
  const lane_part& part = *sums_.lanes_of(shard);
  const operations::table_record& table = call_.tables[shard];
  const auto num_rows = static_cast<std::size_t>(part.num_rows);
  const auto dim = static_cast<std::size_t>(table.dim);
  host_gradient result = {std::vector<std::int64_t>(num_rows), std::vector<float>(num_rows * dim)};
  std::vector<float> lanes(num_rows * numerics::num_lanes);
  if (num_rows == 0) return result;
  access_->read(result.rows.data(), table.gradient.rows, num_rows * sizeof(std::int64_t));
  access_->read(result.values.data(), table.gradient.values, num_rows * dim * sizeof(float));
  access_->read(lanes.data(), part.lanes[0], lanes.size() * sizeof(float));
  for (std::size_t row = 0; row < num_rows; ++row) {
    const float sum =
        numerics::combined_lanes(lanes.data() + row * numerics::num_lanes, numerics::add_lanes{});
    const float scale = numerics::clip_scale(sum, table.optimizer.clipping_limit);
    if (scale == 1.0F) continue;
    for (std::size_t j = 0; j < dim; ++j) result.values[row * dim + j] *= scale;
  }
  return result;
}

}  // namespace warpbag::sharding
