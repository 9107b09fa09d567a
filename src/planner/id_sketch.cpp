// SPDX-License-Identifier: Apache-2.0
#include "warpbag/id_sketch.hpp"

#include <algorithm>
#include <map>

#include "collection/refuse.hpp"
#include "numerics/row_routing.hpp"

namespace warpbag {

namespace {

constexpr std::size_t most_sampled = 32768;
constexpr std::size_t most_counters = 8192;
constexpr std::size_t most_heavy_hitters = most_counters / 2;

bool is_sampled(std::int64_t id, int sampling) {
  const std::uint64_t hash =
      numerics::mixed(static_cast<std::uint64_t>(id) + numerics::routing_step);
  return (hash & ((std::uint64_t{1} << sampling) - 1U)) == 0;
}

}  // namespace

id_sketch::id_sketch(std::int64_t num_rows) : num_rows_(num_rows) {
  if (num_rows <= 0) collection::refuse("id_sketch: num_rows is ", num_rows, ", not positive");
}

void id_sketch::add(std::span<const std::int64_t> ids) {
  for (const std::int64_t id : ids) add(id);
}

void id_sketch::add(std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) add(std::int64_t{id});
}

void id_sketch::add(std::int64_t id) {
  if (id < 0 || id >= num_rows_) return;
  ++num_lookups_;
  // The limit only falls, so an id that is sampled now has been since its first lookup: its count
  // is exact.
  if (is_sampled(id, sampling_)) {
    ++sampled_[id];
    while (sampled_.size() > most_sampled) raise_sampling();
  }
  ++heavy_[id];
  if (heavy_.size() > most_counters) drop_light();
}

void id_sketch::raise_sampling() {
  ++sampling_;
  std::erase_if(sampled_, [&](const auto& entry) { return !is_sampled(entry.first, sampling_); });
}

void id_sketch::drop_light() {
  std::vector<std::int64_t> counts;
  for (const auto& [id, count] : heavy_) counts.push_back(count);
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  const std::int64_t median = *middle;
  dropped_ += median;
  for (auto& [id, count] : heavy_) count -= median;
  std::erase_if(heavy_, [](const auto& entry) { return entry.second <= 0; });
}

// A row that was there from the start has lost exactly `dropped_`; one with no more left than that
// may have come late, in another's place.
bool id_sketch::is_heavy(std::int64_t id) const {
  const auto found = heavy_.find(id);
  return found != heavy_.end() && found->second > dropped_;
}

id_distribution id_sketch::distribution() const {
  if (num_lookups_ == 0) collection::refuse("id_sketch: no ids were added");
  id_distribution result;
  result.num_rows_ = num_rows_;
  result.observed_ = static_cast<double>(num_lookups_);
  // Hot rows are few and decide what small batches read: they count as themselves, and the sample
  // stands for all others. Which rows are hot does not depend on which are sampled.
  std::map<std::int64_t, double> rows_of_count;
  const auto rows_each = static_cast<double>(std::int64_t{1} << sampling_);
  for (const auto& [id, count] : sampled_) {
    if (!is_heavy(id)) rows_of_count[count] += rows_each;
  }
  for (const auto& [id, count] : heavy_) {
    if (!is_heavy(id)) continue;
    rows_of_count[count + dropped_] += 1.0;
    result.heavy_.push_back({id, static_cast<double>(count + dropped_) / result.observed_});
  }
  for (const auto& [count, rows] : rows_of_count) {
    result.classes_.push_back({rows, static_cast<double>(count)});
  }
  std::sort(result.heavy_.begin(), result.heavy_.end(),
            [](const heavy_hitter& a, const heavy_hitter& b) {
              return a.share != b.share ? a.share > b.share : a.id < b.id;
            });
  if (result.heavy_.size() > most_heavy_hitters) result.heavy_.resize(most_heavy_hitters);
  result.continue_curve();
  return result;
}

}  // namespace warpbag
