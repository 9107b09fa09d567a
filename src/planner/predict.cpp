// SPDX-License-Identifier: Apache-2.0
#include "planner/predict.hpp"

#include <algorithm>
#include <map>

#include "collection/refuse.hpp"

namespace warpbag {

namespace {

using collection::refuse;

void check_positive(double value, const char* what) {
  if (!(value > 0.0)) refuse("topology: ", what, " is ", value, ", not positive");
}

void check_statistics(const table_config& table, const table_statistics& statistics) {
  if (statistics.ids.num_rows() != table.num_embeddings) {
    refuse("table '", table.name, "': statistics of ", statistics.ids.num_rows(), " rows for ",
           table.num_embeddings);
  }
  for (const feature_statistics& feature : statistics.features) {
    if (!(feature.hotness >= 0.0 && feature.hotness < 1e12)) {
      refuse("table '", table.name, "': a hotness of ", feature.hotness);
    }
  }
}

}  // namespace

void validate(const topology& machine) {
  if (machine.num_ranks < 1 || machine.num_ranks > 65536) {
    refuse("topology: num_ranks is ", machine.num_ranks, ", not in 1..65536");
  }
  if (machine.ranks_per_node < 0 ||
      (machine.ranks_per_node > 0 && machine.num_ranks % machine.ranks_per_node != 0)) {
    refuse("topology: ranks_per_node is ", machine.ranks_per_node, ", which does not divide ",
           machine.num_ranks, " ranks");
  }
  check_positive(static_cast<double>(machine.memory_bytes), "memory_bytes");
  check_positive(machine.memory_bandwidth, "memory_bandwidth");
  for (const link_speed& link : {machine.intra_node, machine.inter_node}) {
    check_positive(link.bandwidth, "bandwidth");
    if (!(link.latency >= 0.0)) refuse("topology: latency is ", link.latency);
  }
}

std::int64_t header_bytes(const header_costs& costs, int num_ranks, std::int64_t num_tables) {
  const std::int64_t pairs = std::int64_t{num_ranks} * (num_ranks - 1);
  return pairs * costs.exchanges * (costs.bytes + costs.bytes_per_table * num_tables);
}

step_prediction predict_step(const sharding_plan& plan, std::span<const table_config> tables,
                             std::span<const table_statistics> statistics,
                             std::int64_t batch_per_rank, const topology& machine,
                             const header_costs& headers) {
  sharding::check_planning(tables, statistics, batch_per_rank, machine);
  validate(plan, tables);
  if (plan.num_ranks != machine.num_ranks) {
    refuse("plan: for ", plan.num_ranks, " ranks, the topology has ", machine.num_ranks);
  }
  const sharding::step_model model(tables, statistics, batch_per_rank, machine, headers);
  std::map<std::string_view, const table_plan*> plans;
  for (const table_plan& part : plan.tables) plans.emplace(part.table, &part);
  std::vector<sharding::table_load> loads;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const table_plan& part = *plans.at(tables[t].name);
    loads.push_back(model.load(t, part, model.demand(t, part)));
  }
  step_prediction prediction = sharding::sum_of(model, loads);
  prediction.header_bytes =
      header_bytes(headers, plan.num_ranks, static_cast<std::int64_t>(tables.size()));
  return prediction;
}

namespace sharding {

void check_planning(std::span<const table_config> tables,
                    std::span<const table_statistics> statistics, std::int64_t batch_per_rank,
                    const topology& machine) {
  validate(machine);
  if (statistics.size() != tables.size()) {
    refuse(statistics.size(), " statistics for ", tables.size(), " tables");
  }
  if (batch_per_rank < 0 || batch_per_rank > std::int64_t{1} << 40) {
    refuse("batch_per_rank is ", batch_per_rank, ", not in 0..2^40");
  }
  for (std::size_t t = 0; t < tables.size(); ++t) {
    if (tables[t].num_embeddings <= 0 || tables[t].embedding_dim <= 0) {
      refuse("table '", tables[t].name, "': ", tables[t].num_embeddings, " rows of ",
             tables[t].embedding_dim, " elements");
    }
    check_statistics(tables[t], statistics[t]);
  }
}

step_prediction sum_of(const step_model& model, std::span<const table_load> loads) {
  step_prediction prediction;
  prediction.ranks.resize(static_cast<std::size_t>(model.num_ranks()),
                          {model.fixed_bytes(), model.fixed_bytes(), 0, model.fixed_seconds()});
  for (const table_load& load : loads) {
    table_prediction table;
    table.bytes = load.bytes;
    table.seconds = *std::max_element(load.seconds.begin(), load.seconds.end());
    for (std::size_t r = 0; r < load.seconds.size(); ++r) {
      rank_prediction& rank = prediction.ranks[r];
      const auto memory = static_cast<std::int64_t>(std::min(load.memory_bytes[r], most_memory));
      table.memory_bytes.push_back(memory);
      rank.memory_bytes += memory;
      rank.sent_bytes += load.sent_bytes[r];
      rank.received_bytes += load.received_bytes[r];
      rank.seconds += load.seconds[r];
    }
    prediction.bytes.forward += load.bytes.forward;
    prediction.bytes.backward += load.bytes.backward;
    prediction.tables.push_back(std::move(table));
  }
  for (const rank_prediction& rank : prediction.ranks) {
    prediction.seconds = std::max(prediction.seconds, rank.seconds);
  }
  return prediction;
}

}  // namespace sharding

}  // namespace warpbag
