// SPDX-License-Identifier: Apache-2.0
#include "sharding/step.hpp"

#include <algorithm>
#include <numeric>

#include "collection/overlap.hpp"
#include "collection/refuse.hpp"
#include "sharding/step_records.hpp"

namespace warpbag::sharding {

namespace {

using collection::call_phase;
using collection::call_records;
using collection::refuse;

constexpr std::size_t own_round = 1;  // between the two of moved bags

std::size_t round_of(cut_side side) { return side == cut_side::before ? 0 : 2; }

}  // namespace

sharded_step::sharded_step(const resources& resources, const layout& layout, shard_memory& shards,
                           collection::configured_tables& configured,
                           operations::device_access& access, std::shared_ptr<transport> ranks,
                           std::uint64_t schema)
    : shards_(&shards),
      configured_(&configured),
      access_(&access),
      whole_tables_(make_whole_tables(configured)),
      stepped_(make_stepped(configured)),
      side_(operations::make_side_stream(resources)),
      side_access_(operations::make_device_access(side_->get_resources())),
      calls_(ranks, schema, access, configured.names()),
      routing_calls_(ranks->split(0, side_->get_resources().stream), schema, *side_access_,
                     configured.names()),
      asks_beside_(resources.where.kind == device_kind::cpu),
      router_(*side_, layout, shards, configured, *side_access_),
      padding_(layout, configured.tables(), access),
      fetcher_(layout, shards, padding_, configured.tables(), calls_.rank(), access),
      partial_(layout, shards, configured, access),
      moved_(access),
      exchange_(layout, shards, configured, tables_of_features(configured), access),
      joined_(layout, calls_.rank(), shards, configured, access),
      wanted_(shards, configured, access),
      given_(layout, shards, configured, access),
      bags_(resources),
      owner_(resources),
      batches_{routed_batch(*side_access_), routed_batch(*side_access_)},
      max_positions_(access),
      sums_{subtree_sums(access), subtree_sums(access), subtree_sums(access)},
      moved_rows_{found_rows(access), found_rows(access)} {
  routing_calls_.ranks().set_deadline(ranks->deadline());
  share_padding_rows();
}

void sharded_step::make_call(std::span<const jagged_view> bags, call_records& call) const {
  call.tables = whole_tables_;
  collection::make_feature_records(configured_->with_bags(bags), configured_->names(), call);
  call.total_rows = 0;
  for (const auto& table : whole_tables_) call.total_rows += table.num_rows;
}

void sharded_step::agree(rank_operation operation, std::uint64_t schema, const rank_fault& fault,
                         std::span<const std::vector<std::int64_t>> told,
                         std::vector<std::vector<std::int64_t>>& learned) {
  try {
    calls_.agree(operation, schema, fault, told, learned);
  } catch (const transport_error& lost) {
    routing_calls_.close(lost);
    throw;
  }
}

void sharded_step::share_padding_rows() {
  together([&] { padding_.share(calls_, *shards_); });
}

// ---- forward ----

void sharded_step::forward(std::span<const jagged_view> bags,
                           std::span<const tensor_view> outputs) {
  state_ = batch_state::none;
  call_records call;
  std::exception_ptr rejected;
  try {
    make_call(bags, call);
    collection::set_outputs(outputs, configured_->names(), call);
    collection::check_overlaps(call, call_phase::forward, configured_->names());
    if (!prefetched_.valid()) side_->follow();
  } catch (const std::exception&) {
    rejected = std::current_exception();
  }
  current_ = 1 - current_;
  try {
    if (prefetched_.valid()) {
      prefetched_.get();  // throws what went wrong there
      take_prefetched(call, rejected);
    } else {
      await_router();
      batch().call = call;
      // Among all other calls: a rank that makes another one is found out at once.
      router_.ask(calls_, batch(), router_.find(batch(), rejected));
    }
  } catch (const transport_error& fault) {
    calls_.close(fault);
    routing_calls_.close(fault);
    throw;
  }
  try {
    together([&] {
      side_->lead();
      traffic_ = {};
      traffic_.row_request_bytes = batch().sent_bytes;
      traffic_.row_bytes = fetcher_.fetch(calls_, batch(), owner_);
      traffic_.row_bytes += partial_.pool(calls_, batch(), owner_);
      pool();
      if (renormalizes(*configured_)) calls_.ranks().barrier();
    });
  } catch (...) {
    fetcher_.undo(owner_.get());
    throw;
  }
  fetcher_.keep();
  state_ = batch_state::pooled;
  summed_ = false;
}

void sharded_step::place_max_positions(call_records& call) {
  auto* next = max_positions_.get<std::int32_t>(call.max_positions_size);
  for (auto& feature : call.features) {
    if (feature.mode != pooling_mode::max) continue;
    feature.max_positions = next;
    next += feature.num_bags * call.tables[static_cast<std::size_t>(feature.table)].dim;
  }
}

void sharded_step::pool() {
  place_max_positions(batch().call);
  make_compact_call(batch().call, batch().found, compact_);
  partial_bags::leave_out(batch().parts, compact_);
  for (std::size_t t = 0; t < compact_.tables.size(); ++t) {
    compact_.tables[t].rows = fetcher_.rows(t).data;
  }
  operations::backend& work = bags_.prepared(compact_, true);
  const operations::problem problem = compact_.problem(configured_->options().policy);
  work.check_inputs(problem);
  work.pool(problem);
}

// ---- backward ----

void sharded_step::take_gradients(std::span<const jagged_view> bags,
                                  std::span<const const_tensor_view> output_gradients,
                                  const collection::gradient_target& target,
                                  std::span<float* const> weight_gradients) {
  const collection::call_names& names = configured_->names();
  if (state_ == batch_state::none) {
    refuse("backward without a batch: it follows a forward that did not throw");
  }
  if (state_ == batch_state::consumed) {
    refuse("backward after a fused backward of the same batch, which has changed the rows");
  }
  call_records call;
  make_call(bags, call);
  collection::check_same_batch(batch().call, call, names);
  collection::set_output_gradients(output_gradients, names, call);
  collection::set_weight_gradients(weight_gradients, names, call);
  collection::check_overlaps(call, call_phase::backward, names);
  wanted_.take(target, batch(), call);
  compact_.gradient_type = call.gradient_type;
  for (std::size_t f = 0; f < call.features.size(); ++f) {
    operations::feature_record& feature = compact_.features[f];
    feature.gradient = call.features[f].gradient;
    feature.gradient_stride = call.features[f].gradient_stride;
    feature.weight_gradient = call.features[f].weight_gradient;
  }
}

void sharded_step::cut_batch() {
  cuts_.clear();
  for (std::size_t f = 0; f < compact_.features.size(); ++f) {
    const auto table = static_cast<std::size_t>(compact_.features[f].table);
    const auto& sizes = batch().sizes[f];
    cuts_.emplace_back(
        exchange_.exchanges_sums(table) ? sizes : std::vector<std::int64_t>(sizes.size(), 0));
    compact_.features[f].first_sample =
        std::accumulate(sizes.begin(), sizes.begin() + calls_.rank(), std::int64_t{0});
    compact_.features[f].batch = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  }
}

void sharded_step::backward(std::span<const jagged_view> bags,
                            std::span<const const_tensor_view> output_gradients,
                            const collection::gradient_target& target,
                            std::span<float* const> weight_gradients, std::uint64_t rates_hash) {
  const auto num_ranks = static_cast<std::size_t>(calls_.size());
  rank_fault fault;
  std::vector<std::vector<std::int64_t>> told(num_ranks);
  std::vector<std::vector<std::int64_t>> learned(num_ranks);
  const bool has_batch = state_ != batch_state::none;
  if (has_batch) cut_batch();
  call_records given;  // the batch with its own ids, for bags that move
  try {
    take_gradients(bags, output_gradients, target, weight_gradients);
    given = compact_;
    for (std::size_t f = 0; f < given.features.size(); ++f) {
      given.features[f].ids = batch().call.features[f].ids;
    }
    for (std::size_t to = 0; to < num_ranks; ++to) {
      told[to] = moved_.announce(given, cuts_, calls_.rank(), static_cast<int>(to));
    }
  } catch (const std::exception&) {
    fault.other = std::current_exception();
  }
  for (std::size_t other = 0; other < num_ranks && has_batch; ++other) {
    const int peer = static_cast<int>(other);
    told[other].resize(
        static_cast<std::size_t>(moved_bags::announced_size(cuts_, calls_.rank(), peer)));
    learned[other].resize(
        static_cast<std::size_t>(moved_bags::announced_size(cuts_, peer, calls_.rank())));
  }
  partial_.announce(batch().parts, compact_, fault.other != nullptr, told);
  for (auto& words : learned) {
    words.resize(words.size() + static_cast<std::size_t>(partial_.announced_size(calls_.rank())));
  }
  const std::uint64_t schema = rates_hash + static_cast<std::uint64_t>(compact_.gradient_type);
  agree(operation_of(target), schema, fault, told, learned);
  given.tables = whole_tables_;
  together([&] {
    find_weight_gradients();
    const bool moves = std::any_of(cuts_.begin(), cuts_.end(),
                                   [](const batch_cut& cut) { return cut.has_cuts(); });
    traffic_.gradient_bytes = partial_.take_gradients(calls_, batch(), compact_, learned, owner_);
    exchange_.take(partial_.gradients());
    sum_own();
    if (moves) traffic_.moved_bag_bytes = moved_.exchange(calls_, given, cuts_, learned);
    for (const cut_side side : cut_sides) {
      if (moves && moved_.has_bags(side)) {
        sum_moved(side);
      } else {
        sums_[round_of(side)].clear(cuts_.size());
      }
    }
    exchange_sums();
    if (std::holds_alternative<collection::fused_target>(target)) {
      prepare_step();
      calls_.ranks().barrier();
      step_optimizers();
    } else {
      wanted_.prepare(calls_, exchange_, joined_, owner_);
      calls_.ranks().barrier();
      wanted_.give(joined_, owner_.get());
    }
  });
  if (std::holds_alternative<collection::fused_target>(target)) state_ = batch_state::consumed;
  finish_prefetch();
}

void sharded_step::find_weight_gradients() {
  const operations::problem problem = compact_.problem(configured_->options().policy);
  // An earlier backward of this batch has used the backend for its sums.
  if (summed_) bags_.get().check_inputs(problem);
  summed_ = true;
  if (compact_.wants_weights_of_means()) bags_.get().deduplicate(problem);
  bags_.get().sample_weight_gradient(problem);
}

void sharded_step::sum_own() {
  std::vector<subtree_cut> subtrees;
  for (const batch_cut& cut : cuts_) subtrees.push_back(cut.subtrees_of(calls_.rank()));
  sums_[own_round].sum(compact_, batch().found, subtrees, configured_->tables(),
                       configured_->options().policy, bags_);
}

void sharded_step::sum_moved(cut_side side) {
  const bad_id_policy policy = configured_->options().policy;
  found_rows& found = moved_rows_[static_cast<std::size_t>(side)];
  find_rows(moved_.call(side), *shards_, policy, owner_, *access_, found);
  make_compact_call(moved_.call(side), found, moved_compact_);
  bags_.prepared(moved_compact_, true).check_inputs(moved_compact_.problem(policy));
  std::vector<subtree_cut> subtrees;
  for (const batch_cut& cut : cuts_) {
    subtree_cut& of_slice = subtrees.emplace_back();
    of_slice.subtree_of_slice.fill(-1);
    const std::int32_t slice = cut.home_slice(calls_.rank(), side);
    if (slice < 0) continue;
    of_slice.subtree_of_slice[static_cast<std::size_t>(slice)] = 0;
    of_slice.first_slices = {slice};
  }
  sums_[round_of(side)].sum(moved_compact_, found, subtrees, configured_->tables(), policy, bags_);
}

void sharded_step::exchange_sums() {
  const rank_sums sums = {&sums_[0], &sums_[1], &sums_[2]};
  const auto num_ranks = static_cast<std::size_t>(calls_.size());
  std::vector<std::vector<std::int64_t>> told(num_ranks);
  std::vector<std::vector<std::int64_t>> learned(num_ranks);
  for (std::size_t other = 0; other < num_ranks; ++other) {
    told[other] = exchange_.announce(sums, static_cast<int>(other));
    learned[other].resize(static_cast<std::size_t>(exchange_.announced_size(calls_.rank())));
  }
  calls_.agree(rank_operation::gradients, 0, {}, told, learned);
  traffic_.gradient_bytes += exchange_.exchange(calls_, sums, learned);
  exchange_.unpack(owner_.get());
}

void sharded_step::prepare_step() {
  traffic_.gradient_bytes += joined_.prepare(calls_, exchange_, owner_);
  exchange_.make_call(
      [&](std::size_t s) {
        return !joined_.has(s) && !configured_->tables()[shards_->shards()[s].table].freeze;
      },
      [](std::size_t) {
        operations::gradient_record gradient;
        gradient.form = operations::gradient_form::fused;
        return gradient;
      },
      finish_);
  owner_.prepared(finish_);
  owner_.prepared(stepped_);
}

/// Everything that can fail is done: from here on the tables change.
void sharded_step::step_optimizers() {
  owner_.get().advance_steps(stepped_.problem(bad_id_policy::error));
  gradient_exchange::finish(finish_, owner_.get());
  joined_.update(owner_.get());
}

}  // namespace warpbag::sharding
