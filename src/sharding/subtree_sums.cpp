// SPDX-License-Identifier: Apache-2.0
#include "sharding/subtree_sums.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "collection/refuse.hpp"

namespace warpbag::sharding {

namespace {

std::int64_t num_subtrees(const subtree_cut& cut) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(cut.first_slices.size()));
}

}  // namespace

std::int64_t feature_sums::total() const {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

void make_compact_call(const collection::call_records& call, const found_rows& found,
                       collection::call_records& compact) {
  compact = call;
  for (std::size_t t = 0; t < compact.tables.size(); ++t) {
    operations::table_record table;
    table.dim = call.tables[t].dim;
    table.row_type = call.tables[t].row_type;
    table.row_stride = table.dim;
    table.num_rows = found.num_rows(t) + 1;
    table.padding_idx = found.num_rows(t);
    compact.tables[t] = table;
  }
  for (std::size_t f = 0; f < compact.features.size(); ++f) {
    compact.features[f].ids = found.compact_ids[f];
  }
  lay_out(compact);
}

void subtree_sums::sum(const collection::call_records& compact, const found_rows& found,
                       std::span<const subtree_cut> cuts, std::span<const table_config> configs,
                       bad_id_policy policy, working_backend& backend) {
  place(compact, cuts, found, configs);
  if (placed_.empty()) return;
  split(compact, cuts, found, policy, backend.get());
  make_call(compact);
  operations::backend& work = backend.prepared(call_, true);
  const operations::problem problem = call_.problem(policy);
  work.check_inputs(problem);
  work.deduplicate(problem);
  work.reduce_gradients(problem);
  pack(cuts, found, policy, work);
  read_counts(found);
}

void subtree_sums::place(const collection::call_records& compact, std::span<const subtree_cut> cuts,
                         const found_rows& found, std::span<const table_config> configs) {
  struct offsets {
    std::int64_t ids, rows, count, values, packed, occurrences;
  };
  sums_.assign(compact.features.size(), {});
  placed_.clear();
  memory_cut cut;
  std::int64_t num_counts = 0;
  std::vector<offsets> placed;
  for (std::size_t f = 0; f < compact.features.size(); ++f) {
    const auto t = static_cast<std::size_t>(compact.features[f].table);
    if (configs[t].freeze) continue;
    feature_memory memory;
    memory.feature = f;
    memory.table = t;
    memory.num_rows = found.num_rows(t) * num_subtrees(cuts[f]) + 1;
    if (compact.ids_type == index_type::i32 &&
        memory.num_rows > std::numeric_limits<std::int32_t>::max()) {
      collection::refuse("feature ", f, " reads ", found.num_rows(t), " rows over ",
                         num_subtrees(cuts[f]), " parts of the batch: too many for 32-bit ids");
    }
    const std::int64_t num_ids = compact.features[f].num_ids;
    const std::int64_t capacity = std::min(memory.num_rows, num_ids);
    memory.gradient.form = operations::gradient_form::sparse;
    memory.gradient.capacity = capacity;
    const auto id_bytes = static_cast<std::int64_t>(size_of(compact.ids_type));
    placed.push_back({cut.add<std::byte>(num_ids * id_bytes), cut.add<std::int64_t>(capacity),
                      cut.add<std::int64_t>(1), cut.add<float>(capacity * compact.tables[t].dim),
                      cut.add<std::int64_t>(capacity),
                      cut.add<std::uint32_t>(configs[t].scale_grad_by_freq ? capacity : 0)});
    num_counts += static_cast<std::int64_t>(found.counts[t].size());
    placed_.push_back(memory);
  }
  const std::int64_t counts_offset = cut.add<std::int64_t>(num_counts);
  std::byte* const memory = memory_.get_bytes(cut.bytes());
  const auto at = [memory]<typename Element>(std::int64_t offset, Element*& pointer) {
    pointer = reinterpret_cast<Element*>(memory + offset);
  };
  std::int64_t* counts = nullptr;
  at(counts_offset, counts);
  for (std::size_t k = 0; k < placed_.size(); ++k) {
    feature_memory& feature = placed_[k];
    feature_sums& sums = sums_[feature.feature];
    feature.ids = memory + placed[k].ids;
    at(placed[k].rows, feature.gradient.rows);
    at(placed[k].count, feature.gradient.count);
    at(placed[k].values, sums.values);
    at(placed[k].packed, sums.packed);
    if (configs[feature.table].scale_grad_by_freq) at(placed[k].occurrences, sums.occurrences);
    feature.gradient.values = sums.values;
    feature.counts = counts;
    counts += found.counts[feature.table].size();
  }
}

void subtree_sums::split(const collection::call_records& compact, std::span<const subtree_cut> cuts,
                         const found_rows& found, bad_id_policy policy,
                         operations::backend& backend) {
  std::vector<operations::subtree_record> records(compact.features.size());
  for (const feature_memory& feature : placed_) {
    operations::subtree_record& record = records[feature.feature];
    std::copy(cuts[feature.feature].subtree_of_slice.begin(),
              cuts[feature.feature].subtree_of_slice.end(), record.subtree_of_slice);
    record.num_subtrees = static_cast<std::int32_t>(num_subtrees(cuts[feature.feature]));
    record.num_routed = found.num_rows(feature.table);
    record.ids = feature.ids;
  }
  backend.split_by_subtree(compact.problem(policy), records);
}

/// A table for each feature: features that share a table have trees of their own.
void subtree_sums::make_call(const collection::call_records& compact) {
  call_ = compact;
  call_.tables.clear();
  call_.features.clear();
  for (const feature_memory& memory : placed_) {
    operations::feature_record feature = compact.features[memory.feature];
    operations::table_record table = compact.tables[memory.table];
    table.num_rows = memory.num_rows;
    table.padding_idx = memory.num_rows - 1;
    table.gradient = memory.gradient;
    feature.table = static_cast<std::int32_t>(call_.tables.size());
    feature.ids = memory.ids;
    feature.weight_gradient = nullptr;
    call_.tables.push_back(table);
    call_.features.push_back(feature);
  }
  lay_out(call_);
}

void subtree_sums::pack(std::span<const subtree_cut> cuts, const found_rows& found,
                        bad_id_policy policy, operations::backend& backend) {
  std::vector<operations::packed_record> records;
  for (const feature_memory& memory : placed_) {
    const feature_sums& sums = sums_[memory.feature];
    const subtree_cut& cut = cuts[memory.feature];
    operations::packed_record record;
    std::copy(cut.first_slices.begin(), cut.first_slices.end(), record.first_slice);
    record.num_subtrees = static_cast<std::int32_t>(num_subtrees(cut));
    record.num_destinations = static_cast<std::int32_t>(found.counts[memory.table].size());
    record.rows = found.rows + found.first_row[memory.table];
    record.counts = found.device_counts + found.first_count[memory.table];
    record.packed = sums.packed;
    record.occurrences = sums.occurrences;
    record.sums = memory.counts;
    records.push_back(record);
  }
  backend.pack_partials(call_.problem(policy), records);
}

void subtree_sums::read_counts(const found_rows& found) {
  std::size_t total = 0;
  for (const feature_memory& memory : placed_) total += found.counts[memory.table].size();
  std::vector<std::int64_t> counts(total);
  access_->read(counts.data(), placed_.front().counts, total * sizeof(std::int64_t));
  auto next = counts.begin();
  for (const feature_memory& memory : placed_) {
    const auto end = next + static_cast<std::ptrdiff_t>(found.counts[memory.table].size());
    sums_[memory.feature].counts.assign(next, end);
    next = end;
  }
}

}  // namespace warpbag::sharding
