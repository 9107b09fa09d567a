// SPDX-License-Identifier: Apache-2.0
#include "planner/load_sum.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "planner/message_bytes.hpp"

namespace warpbag::sharding {

namespace {

double as_double(std::int64_t value) { return static_cast<double>(value); }

double total(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

load_sum::load_sum(const step_model& model, std::size_t table)
    : model_(model), table_(model.tables_[table]), statistics_(model.statistics_[table]) {
  const auto ranks = static_cast<std::size_t>(model.num_ranks());
  for (std::vector<double>* values :
       {&load_.seconds, &load_.memory_bytes, &load_.sent_bytes, &load_.received_bytes,
        &request_bytes_, &answer_bytes_, &partial_bytes_, &stored_bytes_, &near_bytes_, &far_bytes_,
        &local_bytes_}) {
    values->assign(ranks, 0.0);
  }
  add_local_work();
}

/// What a rank does for its own batch, whoever owns the rows: reads a row for every lookup, writes
/// outputs, reads their gradients.
void load_sum::add_local_work() {
  const double dim = as_double(table_.embedding_dim);
  double bytes = 0.0;
  for (const feature_statistics& feature : statistics_.features) {
    const double lookups = as_double(model_.batch_) * feature.hotness;
    const double outputs = feature.mode == pooling_mode::none ? lookups : as_double(model_.batch_);
    const double element = as_double(bytes_of(feature.gradient_type));
    bytes += dim * (lookups * as_double(bytes_of(table_.type)) + outputs * element);
    if (trains(table_)) bytes += dim * lookups * element;
  }
  for (double& local : local_bytes_) local += bytes;
}

void load_sum::add_piece(std::span<const int> ranks, std::span<const double> shares,
                         std::int64_t columns) {
  const double request = as_double(request_bytes());
  const double answer = as_double(answer_bytes(table_, columns));
  const double partial = as_double(partial_bytes(table_, columns));
  const double stored = stored_row_bytes(table_, columns);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto rank = static_cast<std::size_t>(ranks[i]);
    request_bytes_[rank] += shares[i] * request;
    answer_bytes_[rank] += shares[i] * answer;
    partial_bytes_[rank] += shares[i] * partial;
    stored_bytes_[rank] += shares[i] * stored;
    const double rows = std::round(shares[i] * as_double(table_.num_embeddings));
    load_.memory_bytes[rank] += rows * stored;
  }
}

void load_sum::add_flow(std::span<const double> readers, std::span<const double> owners, phase when,
                        direction way) {
  const auto node_size = static_cast<std::size_t>(model_.ranks_per_node());
  std::vector<double>& from_reader =
      way == direction::to_owner ? load_.sent_bytes : load_.received_bytes;
  std::vector<double>& to_owner =
      way == direction::to_owner ? load_.received_bytes : load_.sent_bytes;
  double all_readers = 0.0;
  double all_owners = 0.0;
  node_sums_.clear();
  for (std::size_t first = 0; first < readers.size(); first += node_size) {
    node_sums_.emplace_back(total(readers.subspan(first, node_size)),
                            total(owners.subspan(first, node_size)));
    all_readers += node_sums_.back().first;
    all_owners += node_sums_.back().second;
  }
  double sum = 0.0;
  for (std::size_t first = 0; first < readers.size(); first += node_size) {
    const auto [node_readers, node_owners] = node_sums_[first / node_size];
    for (std::size_t rank = first; rank < first + node_size; ++rank) {
      const double reading = readers[rank] * (all_owners - owners[rank]);
      const double owning = owners[rank] * (all_readers - readers[rank]);
      from_reader[rank] += reading;
      to_owner[rank] += owning;
      sum += reading;
      near_bytes_[rank] += readers[rank] * (node_owners - owners[rank]) +
                           owners[rank] * (node_readers - readers[rank]);
      far_bytes_[rank] +=
          readers[rank] * (all_owners - node_owners) + owners[rank] * (all_readers - node_readers);
    }
  }
  (when == phase::forward ? load_.bytes.forward : load_.bytes.backward) += sum;
}

void load_sum::add_rows(const table_demand& demand) {
  const std::size_t size = local_bytes_.size();
  const std::vector<double> fetched(size, demand.fetched);
  add_flow(fetched, request_bytes_, phase::forward, direction::to_owner);
  add_flow(fetched, answer_bytes_, phase::forward, direction::to_reader);
  // An answer is read from the table and written; where it comes it is written.
  const double all_fetched = demand.fetched * as_double(model_.num_ranks());
  const double read = demand.fetched * total(answer_bytes_);
  for (std::size_t rank = 0; rank < size; ++rank) {
    local_bytes_[rank] += read + 2.0 * all_fetched * answer_bytes_[rank];
  }
  if (!trains(table_)) return;
  add_flow(demand.partials, partial_bytes_, phase::backward, direction::to_owner);
  // A partial sum is written where it is made and read by the owner; an update reads and writes
  // the row.
  const double all_partials = total(demand.partials);
  const double partial = total(partial_bytes_);
  for (std::size_t rank = 0; rank < size; ++rank) {
    local_bytes_[rank] += demand.partials[rank] * partial + all_partials * partial_bytes_[rank] +
                          2.0 * demand.touched * stored_bytes_[rank];
  }
}

void load_sum::add_bag_parts(std::span<const int> ranks, std::span<const double> shares,
                             std::int64_t columns) {
  const std::size_t size = local_bytes_.size();
  std::vector<double> parts(size);
  std::vector<double> sums(size);
  std::vector<double> gradients(size);
  std::vector<double> weight_gradients(size);
  double lookups = 0.0;
  for (const feature_statistics& feature : statistics_.features) {
    const double bags = as_double(model_.batch_);
    lookups += bags * feature.hotness;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const auto rank = static_cast<std::size_t>(ranks[i]);
      const double hit = bags * (1.0 - std::pow(1.0 - shares[i], feature.hotness));
      parts[rank] += hit * as_double(bag_part_bytes(feature)) +
                     bags * feature.hotness * shares[i] * as_double(bag_lookup_bytes(feature));
      sums[rank] += hit * as_double(bag_sum_bytes(columns));
      if (trains(table_) || feature.weight_gradients) {
        gradients[rank] += hit * as_double(bag_gradient_bytes(feature, columns));
      }
      weight_gradients[rank] +=
          bags * feature.hotness * shares[i] * as_double(bag_weight_gradient_bytes(feature));
    }
  }
  const std::vector<double> everybody(size, 1.0);
  add_flow(everybody, parts, phase::forward, direction::to_owner);
  add_flow(everybody, sums, phase::forward, direction::to_reader);
  add_flow(everybody, gradients, phase::backward, direction::to_owner);
  add_flow(everybody, weight_gradients, phase::backward, direction::to_reader);
  const double touched = statistics_.ids.distinct(lookups * as_double(model_.num_ranks()));
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto rank = static_cast<std::size_t>(ranks[i]);
    local_bytes_[rank] += as_double(model_.num_ranks()) * (sums[rank] + gradients[rank]);
    if (trains(table_)) {
      local_bytes_[rank] += touched * shares[i] * 2.0 * stored_row_bytes(table_, columns);
    }
  }
}

void load_sum::add_lanes(std::span<const std::span<const int>> ranks_of_pieces,
                         std::span<const double> shares, const table_demand& demand) {
  const std::int64_t arrays[] = {forward_lanes(table_), backward_lanes(table_)};
  if (arrays[0] + arrays[1] == 0) return;
  for (std::size_t owner = 0; owner < shares.size(); ++owner) {
    const double bytes = demand.touched * shares[owner] * as_double(lanes_bytes);
    const double forward = bytes * as_double(arrays[0]);
    const double backward = bytes * as_double(arrays[1]);
    for_each_lane_message(static_cast<int>(ranks_of_pieces.size()), [&](int from, int to) {
      const int sender = ranks_of_pieces[static_cast<std::size_t>(from)][owner];
      const int receiver = ranks_of_pieces[static_cast<std::size_t>(to)][owner];
      if (sender == receiver) return;
      add_link_bytes(sender, receiver, forward + backward);
      load_.bytes.forward += forward;
      load_.bytes.backward += backward;
    });
  }
}

void load_sum::add_replicas(const table_plan& plan, const table_demand& demand) {
  const bool all = plan.kind == sharding_kind::data_parallel;
  const double rows =
      all ? as_double(table_.num_embeddings) : static_cast<double>(plan.replicated_rows.size());
  if (rows == 0.0) return;
  const double row_bytes = stored_row_bytes(table_, table_.embedding_dim);
  for (double& bytes : load_.memory_bytes) bytes += rows * row_bytes;
  const std::vector<double> everybody(load_.memory_bytes.size(), 1.0);
  if (table_.max_norm) {  // every rank renormalises what any of them reads
    const std::vector<double> told(everybody.size(),
                                   demand.replica_fetched * as_double(request_bytes()));
    add_flow(told, everybody, phase::forward, direction::to_owner);
  }
  if (!trains(table_)) return;
  std::vector<double> sums = demand.replica_partials;
  for (double& count : sums) count *= as_double(partial_bytes(table_, table_.embedding_dim));
  add_flow(sums, everybody, phase::backward, direction::to_owner);
  const double updates = demand.replica_touched * 2.0 * row_bytes;
  const double received = total(sums);
  for (std::size_t rank = 0; rank < sums.size(); ++rank) {
    local_bytes_[rank] += sums[rank] + received + updates;
  }
}

void load_sum::add_link_bytes(int from, int to, double bytes) {
  const auto sender = static_cast<std::size_t>(from);
  const auto receiver = static_cast<std::size_t>(to);
  load_.sent_bytes[sender] += bytes;
  load_.received_bytes[receiver] += bytes;
  std::vector<double>& links =
      model_.node_of(from) == model_.node_of(to) ? near_bytes_ : far_bytes_;
  links[sender] += bytes;
  links[receiver] += bytes;
}

void load_sum::add_moved_samples() {
  if (!trains(table_)) return;
  double sample_bytes = 0.0;
  for (const feature_statistics& feature : statistics_.features) {
    sample_bytes += as_double(moved_bag_bytes(table_, feature)) +
                    feature.hotness * as_double(moved_lookup_bytes(table_, feature));
  }
  for (const moved_samples& moved : model_.slices_.moved) {
    const double bytes = as_double(moved.count) * sample_bytes;
    add_link_bytes(moved.from, moved.to, bytes);
    load_.bytes.backward += bytes;
  }
}

table_load load_sum::finish() {
  const topology& machine = model_.machine();
  for (std::size_t rank = 0; rank < local_bytes_.size(); ++rank) {
    load_.seconds[rank] = near_bytes_[rank] / machine.intra_node.bandwidth +
                          far_bytes_[rank] / machine.inter_node.bandwidth +
                          local_bytes_[rank] / machine.memory_bandwidth;
  }
  return std::move(load_);
}

}  // namespace warpbag::sharding
