// SPDX-License-Identifier: Apache-2.0
#include "bench/batch.hpp"

#include <algorithm>

namespace warpbag::bench {

namespace {

constexpr std::int64_t padding_row = 0;

std::vector<std::int64_t> draw_sizes(const workload& workload, const workload_table& table,
                                     id_source& source) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(workload.batch), table.hotness);
  if (workload.shape == bag_shape::jagged) {
    const double choices = static_cast<double>(2 * table.hotness + 1);
    for (std::int64_t& size : sizes) size = static_cast<std::int64_t>(source.uniform() * choices);
  } else if (workload.shape == bag_shape::one_long) {
    std::int64_t left = workload.batch * table.hotness;
    for (std::size_t bag = 0; bag < sizes.size(); ++bag) {
      sizes[bag] = std::min<std::int64_t>(static_cast<std::int64_t>(bag % 2), left);
      left -= sizes[bag];
    }
    sizes[sizes.size() / 2] += left;
  }
  return sizes;
}

drawn_feature draw_feature(const workload& workload, std::size_t t) {
  const workload_table& table = workload.tables[t];
  id_source source(table.rows, workload.law, workload.alpha, workload.seed,
                   static_cast<std::uint32_t>(t));
  const std::vector<std::int64_t> sizes = draw_sizes(workload, table, source);
  drawn_feature feature;
  std::vector<std::int64_t> offsets = {0};
  for (const std::int64_t size : sizes) offsets.push_back(offsets.back() + size);
  feature.ids.resize(static_cast<std::size_t>(offsets.back()));
  for (std::size_t bag = 0; bag < sizes.size(); ++bag) {
    source.draw(
        std::span(feature.ids)
            .subspan(static_cast<std::size_t>(offsets[bag]), static_cast<std::size_t>(sizes[bag])));
  }
  if (workload.all_padding) std::fill(feature.ids.begin(), feature.ids.end(), padding_row);
  if (workload.bad_share > 0.0) {
    for (std::int64_t& id : feature.ids) {
      if (source.uniform() < workload.bad_share) id = table.rows;
    }
  }
  if (workload.shape != bag_shape::fixed) feature.offsets = std::move(offsets);
  if (workload.weighted) {
    for (std::size_t i = 0; i < feature.ids.size(); ++i) {
      feature.weights.push_back(static_cast<float>(source.uniform()));
    }
  }
  return feature;
}

}  // namespace

drawn_batch draw_batch(const workload& workload) {
  drawn_batch batch;
  for (std::size_t t = 0; t < workload.tables.size(); ++t) {
    batch.features.push_back(draw_feature(workload, t));
  }
  return batch;
}

batch_statistics count(const workload& workload, const drawn_batch& batch) {
  batch_statistics statistics;
  for (std::size_t t = 0; t < batch.features.size(); ++t) {
    std::vector<std::int64_t> ids = batch.features[t].ids;
    statistics.lookups += std::ssize(ids);
    std::erase_if(ids, [&](std::int64_t id) {
      return id >= workload.tables[t].rows || (workload.all_padding && id == padding_row);
    });
    std::sort(ids.begin(), ids.end());
    std::int64_t distinct = 0;
    for (auto run = ids.begin(); run != ids.end(); ++distinct) {
      const auto end = std::upper_bound(run, ids.end(), *run);
      statistics.hottest = std::max<std::int64_t>(statistics.hottest, end - run);
      run = end;
    }
    statistics.distinct_rows.push_back(distinct);
  }
  return statistics;
}

}  // namespace warpbag::bench
