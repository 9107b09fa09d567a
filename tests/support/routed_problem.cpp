// SPDX-License-Identifier: Apache-2.0
#include "support/routed_problem.hpp"

#include <algorithm>
#include <numeric>

#include "support/device_array.hpp"

namespace warpbag::support {

using operations::gradient_form;

namespace {

/// Ids in memory of a device, of either type.
class device_ids {
 public:
  device_ids(test_device& device, index_type type, std::int64_t count)
      : type_(type),
        bytes_(device, std::vector<std::byte>(static_cast<std::size_t>(count) * size_of(type))) {}

  void* data() const { return bytes_.data(); }

  std::vector<std::int64_t> values() {
    buffer copy(kind_of(type_), bytes_.size() / static_cast<std::int64_t>(size_of(type_)), 1);
    copy.bytes = bytes_.values();
    std::vector<std::int64_t> ids;
    for (std::size_t at = 0; at < copy.bytes.size(); at += size_of(type_)) {
      const auto i = static_cast<std::ptrdiff_t>(at / size_of(type_));
      ids.push_back(type_ == index_type::i32 ? copy.as<std::int32_t>()[i]
                                             : copy.as<std::int64_t>()[i]);
    }
    return ids;
  }

 private:
  index_type type_;
  device_array<std::byte> bytes_;
};

operations::problem_limits routed_limits(const operations::problem& problem) {
  operations::problem_limits limits = limits_of(problem);
  limits.routed = true;
  return limits;
}

/// Enough for the compact problem and the pair problem after it: what check_inputs found out of
/// bags serves both, and a workspace that grows forgets it.
operations::problem_limits pair_limits(const operations::problem& compact,
                                       const std::vector<operations::subtree_record>& records) {
  operations::problem_limits limits = routed_limits(compact);
  std::int64_t pair_rows = 0;
  for (const operations::subtree_record& record : records) {
    pair_rows += record.num_routed * record.num_subtrees + 1;
  }
  limits.tables = std::max(limits.tables, limits.features);
  limits.rows = std::max(limits.rows, pair_rows);
  return limits;
}

void set_ids(const std::vector<std::int64_t>& ids, buffer& contents) {
  for (std::size_t i = 0; i < ids.size(); ++i) contents.set(static_cast<std::int64_t>(i), ids[i]);
}

std::int64_t begin_of(const std::vector<std::int64_t>& counts, std::size_t index) {
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(index),
                         std::int64_t{0});
}

/// First destination of each table, and the number of all.
std::vector<std::int64_t> first_destinations(const std::vector<table_route>& routes) {
  std::vector<std::int64_t> firsts = {0};
  for (const table_route& route : routes) {
    firsts.push_back(firsts.back() + route.record.num_destinations());
  }
  return firsts;
}

}  // namespace

routed_batch route_batch(operations::backend& backend, test_device& device, problem_data& data,
                         const std::vector<table_route>& routes) {
  placed_problem placed(data, device);
  const operations::problem& problem = placed.get();
  std::vector<device_array<std::int64_t>> replicated;
  std::vector<operations::route_record> records;
  for (const table_route& route : routes) {
    replicated.emplace_back(device, route.replicated);
    records.push_back(route.record);
    records.back().replicated = replicated.back().data();
    records.back().num_replicated = std::ssize(route.replicated);
  }
  std::vector<device_ids> compact_ids;
  std::vector<void*> pointers;
  for (const operations::feature_record& feature : problem.features) {
    compact_ids.emplace_back(device, problem.ids_type, feature.num_ids);
    pointers.push_back(compact_ids.back().data());
  }
  const std::vector<std::int64_t> firsts = first_destinations(routes);
  device_array<std::int64_t> rows(
      device, std::vector<std::int64_t>(static_cast<std::size_t>(problem.total_positions), -7));
  device_array<std::int64_t> counts(
      device, std::vector<std::int64_t>(static_cast<std::size_t>(firsts.back()), -7));

  backend.reserve(routed_limits(problem));
  backend.check_inputs(problem);
  backend.deduplicate(problem);
  backend.route(problem, records, {rows.data(), counts.data(), pointers.data()});

  routed_batch result;
  result.counts = counts.values();
  for (std::size_t t = 0; t < routes.size(); ++t) {
    const auto first = static_cast<std::size_t>(firsts[t]);
    const auto last = static_cast<std::size_t>(firsts[t + 1]);
    result.num_routed.push_back(begin_of(result.counts, last) - begin_of(result.counts, first));
  }
  const std::int64_t distinct = begin_of(result.counts, result.counts.size());
  result.rows = rows.values();
  for (std::size_t i = static_cast<std::size_t>(distinct); i < result.rows.size(); ++i) {
    EXPECT_EQ(result.rows[i], -7) << "written beyond the distinct rows";
  }
  result.rows.resize(static_cast<std::size_t>(distinct));
  for (device_ids& ids : compact_ids) result.compact_ids.push_back(ids.values());
  return result;
}

problem_data compact_problem(const problem_data& data, const routed_batch& routed) {
  problem_data compact = data;
  for (std::size_t t = 0; t < compact.tables.size(); ++t) {
    operations::table_record record;
    record.num_rows = routed.num_routed[t] + 1;
    record.padding_idx = routed.num_routed[t];
    record.dim = data.tables[t].record.dim;
    compact.tables[t] = {};
    compact.tables[t].record = record;
  }
  for (std::size_t f = 0; f < compact.features.size(); ++f) {
    set_ids(routed.compact_ids[f], compact.features[f].ids);
  }
  return compact;
}

subtrees subtrees_of(std::int32_t first, std::int32_t last) {
  subtrees cut;
  cut.of_slice.assign(numerics::num_slices, -1);
  while (first < last) {
    std::int32_t size = static_cast<std::int32_t>(numerics::num_slices);
    while (first % size != 0 || first + size > last) size /= numerics::slices_per_node;
    const auto subtree = static_cast<std::int8_t>(cut.first_slice.size());
    std::fill_n(cut.of_slice.begin() + first, size, subtree);
    cut.first_slice.push_back(first);
    first += size;
  }
  return cut;
}

operations::subtree_record subtree_record_of(const subtrees& cut, std::int64_t num_routed) {
  operations::subtree_record record;
  std::copy(cut.of_slice.begin(), cut.of_slice.end(), record.subtree_of_slice);
  record.num_subtrees = std::max(1, static_cast<std::int32_t>(cut.first_slice.size()));
  record.num_routed = num_routed;
  return record;
}

std::vector<std::vector<std::int64_t>> split_batch(operations::backend& backend,
                                                   test_device& device, problem_data& compact,
                                                   const std::vector<subtrees>& cuts) {
  placed_problem placed(compact, device);
  std::vector<device_ids> ids;
  std::vector<operations::subtree_record> records;
  for (std::size_t f = 0; f < cuts.size(); ++f) {
    const operations::feature_record& feature = placed.get().features[f];
    const auto table = static_cast<std::size_t>(feature.table);
    ids.emplace_back(device, placed.get().ids_type, feature.num_ids);
    records.push_back(subtree_record_of(cuts[f], placed.get().tables[table].num_rows - 1));
    records.back().ids = ids.back().data();
  }
  backend.reserve(pair_limits(placed.get(), records));
  backend.check_inputs(placed.get());
  backend.split_by_subtree(placed.get(), records);
  std::vector<std::vector<std::int64_t>> result;
  for (device_ids& of_feature : ids) result.push_back(of_feature.values());
  return result;
}

problem_data pair_problem(const problem_data& compact, const std::vector<subtrees>& cuts,
                          const std::vector<std::vector<std::int64_t>>& split_ids) {
  problem_data pairs = compact;
  pairs.tables.clear();
  for (std::size_t f = 0; f < pairs.features.size(); ++f) {
    operations::feature_record& feature = pairs.features[f].record;
    operations::table_record record =
        compact.tables[static_cast<std::size_t>(feature.table)].record;
    const operations::subtree_record split = subtree_record_of(cuts[f], record.num_rows - 1);
    record.padding_idx = split.num_routed * split.num_subtrees;
    record.num_rows = record.padding_idx + 1;
    record.gradient.form = gradient_form::sparse;
    record.gradient.capacity = std::min(record.num_rows, feature.num_ids);
    table_data table;
    table.record = record;
    table.gradient_values = buffer(element_kind::f32, record.gradient.capacity, record.dim);
    table.gradient_rows = buffer(element_kind::i64, record.gradient.capacity, 1);
    table.gradient_count = buffer(element_kind::i64, 1, 1);
    pairs.tables.push_back(std::move(table));
    feature.table = static_cast<std::int32_t>(f);
    set_ids(split_ids[f], pairs.features[f].ids);
  }
  return pairs;
}

std::vector<feature_partials> pack_batch(operations::backend& backend, test_device& device,
                                         problem_data& pairs, const problem_data& data,
                                         const std::vector<table_route>& routes,
                                         const routed_batch& routed,
                                         const std::vector<subtrees>& cuts) {
  placed_problem placed(pairs, device);
  const operations::problem& problem = placed.get();
  const device_array<std::int64_t> rows(device, routed.rows);
  const device_array<std::int64_t> counts(device, routed.counts);
  const std::vector<std::int64_t> firsts = first_destinations(routes);
  std::vector<device_array<std::int64_t>> packed;
  std::vector<device_array<std::uint32_t>> occurrences;
  std::vector<device_array<std::int64_t>> sums;
  std::vector<operations::packed_record> records;
  for (std::size_t f = 0; f < cuts.size(); ++f) {
    const auto t = static_cast<std::size_t>(data.features[f].record.table);
    const auto capacity = static_cast<std::size_t>(problem.tables[f].gradient.capacity);
    operations::packed_record record;
    std::copy(cuts[f].first_slice.begin(), cuts[f].first_slice.end(), record.first_slice);
    record.num_subtrees = std::max(1, static_cast<std::int32_t>(cuts[f].first_slice.size()));
    record.num_destinations = routes[t].record.num_destinations();
    record.rows = rows.data() + begin_of(routed.num_routed, t);
    record.counts = counts.data() + firsts[t];
    packed.emplace_back(device, std::vector<std::int64_t>(capacity));
    occurrences.emplace_back(device, std::vector<std::uint32_t>(capacity));
    sums.emplace_back(
        device, std::vector<std::int64_t>(static_cast<std::size_t>(record.num_destinations), -7));
    record.packed = packed.back().data();
    record.occurrences = occurrences.back().data();
    record.sums = sums.back().data();
    records.push_back(record);
  }
  backend.deduplicate(problem);
  backend.reduce_gradients(problem);
  backend.pack_partials(problem, records);
  placed.fetch();

  std::vector<feature_partials> result;
  for (std::size_t f = 0; f < cuts.size(); ++f) {
    const table_data& table = pairs.tables[f];
    const auto count = static_cast<std::size_t>(table.gradient_count.as<std::int64_t>()[0]);
    feature_partials partials = {packed[f].values(), occurrences[f].values(), sums[f].values(), {}};
    partials.packed.resize(count);
    partials.occurrences.resize(count);
    const float* const values = table.gradient_values.as<float>();
    partials.values.assign(values, values + count * static_cast<std::size_t>(table.record.dim));
    result.push_back(std::move(partials));
  }
  return result;
}

}  // namespace warpbag::support
