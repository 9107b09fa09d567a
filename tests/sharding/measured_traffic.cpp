// SPDX-License-Identifier: Apache-2.0
#include "sharding/measured_traffic.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "numerics/row_routing.hpp"

namespace warpbag::support {

namespace {

/// One rank's part of a feature's global batch.
sharding::host_bags bags_of(const feature_batch& global, const std::vector<std::int64_t>& sizes,
                            std::size_t rank) {
  const auto first_of = sizes.begin() + static_cast<std::ptrdiff_t>(rank);
  const std::int64_t first = std::accumulate(sizes.begin(), first_of, std::int64_t{0});
  const auto lengths = global.lengths.begin() + first;
  const std::int64_t lookup = std::accumulate(global.lengths.begin(), lengths, std::int64_t{0});
  sharding::host_bags bags;
  for (std::int64_t bag = 0; bag < sizes[rank]; ++bag) {
    bags.offsets.push_back(bags.offsets.back() + lengths[bag]);
  }
  const auto ids = global.ids.begin() + lookup;
  bags.ids.assign(ids, ids + bags.offsets.back());
  return bags;
}

}  // namespace

std::vector<measured_step> measure(const sharded_case& drawn) {
  const int num_ranks = drawn.num_ranks;
  in_process_world world(num_ranks);
  std::vector<std::unique_ptr<test_device>> devices(static_cast<std::size_t>(num_ranks));
  std::vector<std::unique_ptr<rank_run>> runs(devices.size());
  for_each_rank(num_ranks, [&](int rank) {
    const auto r = static_cast<std::size_t>(rank);
    devices[r] = cpu_backend(1).make_device();
    runs[r] = std::make_unique<rank_run>(*devices[r], drawn, world.connect(rank));
  });
  std::vector<measured_step> steps;
  for (std::int64_t step = 0; step < drawn.num_steps(); ++step) {
    world.reset_traffic();
    for_each_rank(num_ranks, [&](int rank) {
      runs[static_cast<std::size_t>(rank)]->run(step, step + 1, false);
    });
    measured_step& measured = steps.emplace_back();
    for (int from = 0; from < num_ranks; ++from) {
      for (int to = 0; to < num_ranks; ++to) {
        measured.link_bytes.push_back(world.traffic(from, to).bytes);
      }
      measured.ranks.push_back(runs[static_cast<std::size_t>(from)]->collection().last_traffic());
    }
  }
  return steps;
}

sharding::link_bytes counted(const sharded_case& drawn, std::size_t step) {
  std::vector<std::vector<feature_statistics>> features(drawn.tables.size());
  std::vector<sharding::rank_batch> batches(static_cast<std::size_t>(drawn.num_ranks));
  for (std::size_t t = 0; t < drawn.tables.size(); ++t) {
    for (auto& batch : batches) batch.emplace_back();
    for (std::size_t f = 0; f < drawn.features.size(); ++f) {
      if (drawn.features[f].table != drawn.tables[t].name) continue;
      const feature_batch& global = drawn.batches[step][f];
      features[t].push_back({.weighted = !global.weights.empty(),
                             .mode = drawn.features[f].mode,
                             .gradient_type = drawn.gradient_type,
                             .ids_type = drawn.ids_type,
                             .weight_gradients = drawn.features[f].mode == pooling_mode::sum ||
                                                 drawn.features[f].mode == pooling_mode::mean});
      for (std::size_t rank = 0; rank < batches.size(); ++rank) {
        batches[rank][t].push_back(bags_of(global, drawn.sizes[step][f], rank));
      }
    }
  }
  return sharding::count_traffic(drawn.plan, drawn.tables, features, batches);
}

sharded_case draw_case(const law_case& wanted, const data::power_law& law, std::int64_t num_rows) {
  random_source random(wanted.seed);
  sharded_case drawn;
  drawn.num_ranks = static_cast<int>(wanted.sizes.size());
  table_config table = {.name = "t", .num_embeddings = num_rows, .embedding_dim = wanted.dim};
  table.init = initialization::uniform;
  table.optimizer.kind = optimizer_kind::sgd;
  drawn.tables = {table};
  drawn.features = {{.name = "f", .table = "t", .mode = pooling_mode::sum}};
  drawn.forms = {bags_form::fixed};
  drawn.plan = {drawn.num_ranks, {row_wise("t", drawn.num_ranks)}};
  drawn.sizes = {{wanted.sizes}};
  const std::int64_t samples =
      std::accumulate(wanted.sizes.begin(), wanted.sizes.end(), std::int64_t{0});
  feature_batch batch;
  batch.lengths.assign(static_cast<std::size_t>(samples), wanted.hotness);
  for (std::int64_t i = 0; i < samples * wanted.hotness; ++i) {
    batch.ids.push_back(law(random.unit()));
  }
  batch.gradient.assign(static_cast<std::size_t>(samples * wanted.dim), 0.25F);
  drawn.batches = {{batch}};
  drawn.training = {training_form::fused};
  drawn.value_types = {dtype::f32};
  return drawn;
}

mean_traffic mean_of(const sharded_case& drawn, const measured_step& step) {
  mean_traffic mean;
  const auto ranks = static_cast<double>(drawn.num_ranks);
  for (const step_traffic& sent : step.ranks) {
    // What all ranks send is what all ranks receive.
    mean.forward += static_cast<double>(sent.row_request_bytes + sent.row_bytes) / ranks;
    mean.sums += static_cast<double>(sent.gradient_bytes) / ranks;
    mean.moved_bags += static_cast<double>(sent.moved_bag_bytes) / ranks;
  }
  const auto routing = numerics::make_row_routing(drawn.tables.front().num_embeddings, 0);
  for (int rank = 0; rank < drawn.num_ranks; ++rank) {
    const auto bags = bags_of(drawn.batches.front().front(), drawn.sizes.front().front(),
                              static_cast<std::size_t>(rank));
    const std::unordered_set<std::int64_t> rows(bags.ids.begin(), bags.ids.end());
    const auto remote = std::count_if(rows.begin(), rows.end(), [&](std::int64_t row) {
      return numerics::place_of(routing, drawn.num_ranks, row).owner != rank;
    });
    mean.remote_rows += static_cast<double>(remote) / ranks;
  }
  return mean;
}

}  // namespace warpbag::support
