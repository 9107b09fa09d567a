// SPDX-License-Identifier: Apache-2.0
#include "sharding/joined_updates.hpp"

#include <algorithm>

namespace warpbag::sharding {

namespace {

using operations::row_reduction;

bool is_joined(const table_layout& table, const table_config& config) {
  return table.pieces.size() > 1 && !config.freeze && needs_row_sums(config.optimizer);
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
  }
}

/// Finished gradients, lanes and a copy of the step state for each shard: update_rows advances the
/// state that it is given.
void joined_updates::place(const gradient_exchange& arrived, working_backend& backend) {
  struct offsets {
    std::int64_t rows, values, count, step;
  };
  memory_cut cut;
  std::vector<offsets> placed;
  std::vector<lane_part> lanes;
  for (const std::size_t part : joined_parts_) {
    const operations::table_record& record = shards_->shards()[part].record;
    const std::int64_t rows = std::min(record.num_rows, arrived.num_arrived(part));
    placed.push_back({cut.add<std::int64_t>(rows), cut.add<float>(rows * record.dim),
                      cut.add<std::int64_t>(1), cut.add<step_state>(1)});
    lanes.push_back({part, rows, {}});
  }
  std::byte* const memory = gradients_.get_bytes(cut.bytes());
  sums_.place(std::move(lanes), backend.get());
  std::size_t k = 0;
  arrived.make_call([this](std::size_t s) { return has(s); },
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
  for (k = 0; k < joined_parts_.size(); ++k) {
    operations::table_record& table = call_.tables[joined_parts_[k]];
    auto* const step = reinterpret_cast<step_state*>(memory + placed[k].step);
    access_->copy(step, table.step, sizeof(step_state));
    table.step = step;
    std::copy(sums_.parts()[k].lanes.begin(), sums_.parts()[k].lanes.end(), table.shard.row_lanes);
  }
  backend.prepared(call_);
}

template <typename Needs>
void joined_updates::sum(rank_calls& calls, row_reduction which, std::span<const int> arrays,
                         operations::backend& backend, Needs needs) {
  std::vector<bool> wanted = joined_tables_;
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    wanted[t] = wanted[t] && needs(configured_->tables()[t].optimizer);
  }
  const auto& parts = layout_->parts_of(rank_);
  sums_.sum(calls, wanted, arrays, [&](std::size_t piece) {
    if (joined_parts_.empty()) return;
    collection::call_records of_piece = call_;
    for (const std::size_t part : joined_parts_) {
      if (parts[part].piece != piece) of_piece.tables[part].shard.row_lanes[0] = nullptr;
    }
    backend.add_row_lanes(of_piece.problem(bad_id_policy::error), which);
  });
}

void joined_updates::prepare(rank_calls& calls, const gradient_exchange& arrived,
                             working_backend& backend) {
  if (!any_) return;
  place(arrived, backend);
  gradient_exchange::finish(call_, backend.get());
  for (std::size_t k = 0; k < joined_parts_.size(); ++k) {
    std::int64_t rows = 0;
    access_->read(&rows, call_.tables[joined_parts_[k]].gradient.count, sizeof(rows));
    sums_.set_num_rows(k, rows);
  }
  constexpr std::array first = {0};
  constexpr std::array second = {1};
  constexpr std::array both = {1, 2};
  sum(calls, row_reduction::clip_norm, first, backend.get(),
      [](const auto& o) { return o.clipping == clipping_kind::norm; });
  sum(calls, row_reduction::mean_square, second, backend.get(),
      [](const auto& o) { return numerics::needs_mean_square(o.kind); });
  sum(calls, row_reduction::trust_ratio, both, backend.get(),
      [](const auto& o) { return o.kind == optimizer_kind::lamb; });
}

void joined_updates::update(operations::backend& backend) {
  if (!joined_parts_.empty()) backend.update_rows(call_.problem(bad_id_policy::error));
}

}  // namespace warpbag::sharding
