// SPDX-License-Identifier: Apache-2.0
#include "sharding/faulty_run.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <optional>
#include <ostream>
#include <stdexcept>

namespace warpbag::support {

namespace {

using std::chrono::milliseconds;

/// What finds a fault by itself does not wait for this.
constexpr milliseconds deadline = std::chrono::seconds(10);
/// How a silent death is found.
constexpr milliseconds short_deadline(100);

fault_options options_of(const planned_fault& fault) {
  fault_options options;
  options.seed = fault.seed;
  if (fault.delays) {
    options.delay_chance = 0.2;
    options.max_delay = std::chrono::microseconds(200);
    options.reorder = true;
  }
  const bool silent = fault.kind == fault_kind::silently_killed;
  if (silent || fault.kind == fault_kind::killed) {
    options.killed_rank = fault.rank;
    options.killed_at_call = fault.transport_call;
    options.silent_kill = silent;
  }
  if (fault.kind == fault_kind::corrupted) {
    options.corrupted_rank = fault.rank;
    options.corrupted_at_call = fault.transport_call;
  }
  return options;
}

template <typename Value>
void append(rank_contents& contents, const Value& value) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
  contents.insert(contents.end(), bytes, bytes + sizeof(value));
}

/// All but learning rates, which a fault may change.
rank_contents contents_of(sharded_embedding_bag_collection& collection) {
  rank_contents contents;
  const auto append_matrix = [&](const tensor_view& view) {
    if (view.data == nullptr || view.rows == 0) return;
    const std::size_t begin = contents.size();
    contents.resize(begin + static_cast<std::size_t>(view.rows * view.dim) * size_of(view.type));
    collection.copy_to_host(view, contents.data() + begin);
  };
  for (std::size_t s = 0; s < collection.num_shards(); ++s) {
    append_matrix(collection.weight(s));
    for (int i = 0; i < 2; ++i) append_matrix(collection.state(s, i));
  }
  for (std::size_t t = 0; t < collection.num_tables(); ++t) {
    const step_state step = collection.step_of(t);
    append(contents, step.step);
    append(contents, step.beta1_power);
    append(contents, step.beta2_power);
  }
  return contents;
}

sharding_plan another_plan(sharding_plan plan) {
  table_plan& first = plan.tables.front();
  first = first.kind == sharding_kind::data_parallel ? table_wise(first.table, 0)
                                                     : data_parallel(first.table);
  return plan;
}

/// A batch's bags, of which one holds an id below 0 or an offset that is not where bags begin.
class bad_bags {
 public:
  explicit bad_bags(const std::vector<jagged_view>& bags) : bags_(bags) {}

  void make(bool in_offsets) {
    for (jagged_view& view : bags_) {
      index_view& indices = in_offsets ? view.offsets : view.ids;
      if (indices.size == 0 || view.num_bags == 0) continue;
      const std::size_t size = static_cast<std::size_t>(indices.size) * size_of(indices.type);
      const auto* const begin = static_cast<const std::byte*>(indices.data);
      memory_.assign(begin, begin + size);
      const std::int64_t bad = in_offsets ? 1 : -5;
      if (indices.type == index_type::i64) {
        std::memcpy(memory_.data(), &bad, sizeof(bad));
      } else {
        const auto narrow = static_cast<std::int32_t>(bad);
        std::memcpy(memory_.data(), &narrow, sizeof(narrow));
      }
      indices = index_view(memory_.data(), indices.type, indices.size);
      return;
    }
    throw std::logic_error("a batch without anything that could be bad");
  }
  const std::vector<jagged_view>& get() const { return bags_; }

 private:
  std::vector<jagged_view> bags_;
  std::vector<std::byte> memory_;
};

/// Whether a rank's batch has ids, or offsets, that could be bad.
bool can_be_bad(const sharded_case& drawn, const planned_fault& fault) {
  const auto step = static_cast<std::size_t>(fault.step);
  for (std::size_t f = 0; f < drawn.features.size(); ++f) {
    const auto& sizes = drawn.sizes[step][f];
    const auto& lengths = drawn.batches[step][f].lengths;
    const auto first = lengths.begin() +
                       std::accumulate(sizes.begin(), sizes.begin() + fault.rank, std::int64_t{0});
    const auto last = first + sizes[static_cast<std::size_t>(fault.rank)];
    const bool has_offsets = drawn.forms[f] != bags_form::fixed && first != last;
    const bool has_ids = std::any_of(first, last, [](std::int64_t length) { return length > 0; });
    if (fault.in_offsets ? has_offsets : has_ids) return true;
  }
  return false;
}

class faulty_rank {
 public:
  faulty_rank(const sharded_case& drawn, const planned_fault& fault, int rank)
      : case_(drawn), fault_(fault), rank_(rank), device_(cpu_backend(1).make_device()) {}

  void run(in_process_world& world, rank_outcome& outcome);

 private:
  bool is_mine() const { return fault_.rank == rank_; }
  bool is_at(fault_kind kind, std::int64_t step, bool in_backward) const {
    return fault_.kind == kind && fault_.step == step && fault_.in_backward == in_backward;
  }
  placed_batch& batch(std::int64_t step) { return *batches_[static_cast<std::size_t>(step)]; }
  const std::vector<jagged_view>& bags_to_prefetch(std::int64_t step);
  void place_batches();
  void make_step(std::int64_t step, rank_outcome& outcome);
  void call_again(rank_outcome& outcome);
  void forward(std::int64_t step, rank_outcome& outcome);
  void forward_badly(std::int64_t step);
  void train(std::int64_t step, rank_outcome& outcome);
  void train_badly(std::int64_t step);
  void call_forward(std::int64_t step) {
    collection_->forward(batch(step).bags, batch(step).outputs);
  }
  void call_backward(std::int64_t step) {
    placed_batch& now = batch(step);
    collection_->backward(now.bags, now.output_gradients, now.weight_gradients);
  }
  training_form form_of(std::int64_t step) const {
    return case_.training[static_cast<std::size_t>(step)];
  }
  template <typename Batch>
  void call_train(std::int64_t step, Batch& now) {
    caller_gradients gradients = make_gradients(*device_, case_, step, *collection_);
    train_by(form_of(step), *collection_, now, gradients);
  }

  const sharded_case& case_;
  const planned_fault& fault_;
  int rank_;
  std::unique_ptr<test_device> device_;
  std::vector<std::unique_ptr<placed_batch>> batches_;
  std::optional<bad_bags> bad_;
  std::optional<sharded_embedding_bag_collection> collection_;
};

void faulty_rank::place_batches() {
  for (std::size_t step = 0; step < case_.batches.size(); ++step) {
    std::vector<std::int64_t> first;
    std::vector<std::int64_t> last;
    for (const auto& sizes : case_.sizes[step]) {
      first.push_back(std::accumulate(sizes.begin(), sizes.begin() + rank_, std::int64_t{0}));
      last.push_back(first.back() + sizes[static_cast<std::size_t>(rank_)]);
    }
    batches_.push_back(std::make_unique<placed_batch>(*device_, case_, step, first, last));
  }
  if (fault_.kind != fault_kind::bad_batch || !is_mine()) return;
  bad_.emplace(batch(fault_.step).bags);
  bad_->make(fault_.in_offsets);
}

void faulty_rank::run(in_process_world& world, rank_outcome& outcome) {
  place_batches();
  const bool silent = fault_.kind == fault_kind::silently_killed;
  try {
    std::shared_ptr<transport> ranks = world.connect(rank_);
    ranks->set_deadline(silent ? short_deadline : deadline);
    const bool differs = fault_.kind == fault_kind::other_plan && is_mine();
    collection_.emplace(case_.tables, case_.features,
                        differs ? another_plan(case_.plan) : case_.plan, std::move(ranks),
                        device_->get_resources(), case_.options);
    outcome.contents.push_back(contents_of(*collection_));
    for (std::int64_t step = 0; step < case_.num_steps(); ++step) make_step(step, outcome);
  } catch (const std::exception&) {
    outcome.thrown = std::current_exception();
  }
  if (collection_ && outcome.thrown) call_again(outcome);
  if (collection_) outcome.at_end = contents_of(*collection_);
  for (std::size_t step = 0; step < batches_.size(); ++step) {
    for (std::size_t f = 0; f < case_.features.size(); ++f) {
      outcome.outputs.push_back(batches_[step]->results(f));
    }
  }
}

/// The transport is closed: nothing works any more, and nothing waits.
void faulty_rank::call_again(rank_outcome& outcome) {
  try {
    call_forward(0);
    outcome.went_on = true;
  } catch (const transport_error&) {
  } catch (const invalid_argument&) {  // another batch was prefetched
  }
}

const std::vector<jagged_view>& faulty_rank::bags_to_prefetch(std::int64_t step) {
  return bad_ && step == fault_.step ? bad_->get() : batch(step).bags;
}

void faulty_rank::make_step(std::int64_t step, rank_outcome& outcome) {
  forward(step, outcome);
  outcome.contents.push_back(contents_of(*collection_));
  if (fault_.prefetch && step + 1 < case_.num_steps()) {
    collection_->prefetch(bags_to_prefetch(step + 1));
  }
  train(step, outcome);
  outcome.contents.push_back(contents_of(*collection_));
}

/// This rank's part in a call that all ranks must refuse.
void faulty_rank::forward_badly(std::int64_t step) {
  placed_batch& now = batch(step);
  if (!is_mine()) {
    call_forward(step);
  } else if (bad_) {
    collection_->forward(bad_->get(), now.outputs);
  } else {
    // An output of another size, or no bags for the last feature.
    std::vector<jagged_view> bags = now.bags;
    std::vector<tensor_view> outputs = now.outputs;
    if (fault_.in_offsets) {
      bags.pop_back();
    } else {
      outputs.back().rows += 1;
    }
    collection_->forward(bags, outputs);
  }
}

void faulty_rank::forward(std::int64_t step, rank_outcome& outcome) {
  if (is_at(fault_kind::other_call, step, false) && is_mine()) call_backward(step);
  const bool rejects =
      is_at(fault_kind::bad_batch, step, false) || is_at(fault_kind::bad_argument, step, false);
  if (rejects) {
    try {
      forward_badly(step);
    } catch (const transport_error&) {
      throw;
    } catch (const error&) {
      outcome.rejected = std::current_exception();
      // Rows of a prefetched batch are on their way: the ranks cannot go on.
      if (fault_.kind == fault_kind::bad_argument && fault_.prefetch && step > 0) throw;
    }
  }
  call_forward(step);
}

/// This rank's part in a call that all ranks must refuse: gradients of outputs of a wrong shape, or
/// one gradient more than there are shards.
void faulty_rank::train_badly(std::int64_t step) {
  struct {
    const std::vector<jagged_view>& bags;
    std::vector<const_tensor_view> output_gradients;
    const std::vector<float*>& weight_gradients;
  } now = {batch(step).bags, batch(step).output_gradients, batch(step).weight_gradients};
  if (form_of(step) == training_form::fused || !fault_.in_offsets) {
    if (is_mine()) now.output_gradients.back().rows += 1;
    call_train(step, now);
    return;
  }
  caller_gradients gradients = make_gradients(*device_, case_, step, *collection_);
  collection_->backward_sparse(now.bags, now.output_gradients, gradients.sparse());
  std::vector<sparse_gradient> given = gradients.changed(false);
  if (is_mine()) given.emplace_back();
  collection_->apply_gradients(given);
}

void faulty_rank::train(std::int64_t step, rank_outcome& outcome) {
  if (fault_.kind == fault_kind::other_rate && fault_.step == step && is_mine()) {
    collection_->set_learning_rate(0.625F);
  }
  if (is_at(fault_kind::other_call, step, true) && is_mine()) {
    const bool prefetched = fault_.prefetch && step + 1 < case_.num_steps();
    if (form_of(step) != training_form::fused && fault_.in_offsets) call_backward(step);
    call_forward(prefetched ? step + 1 : step);
  }
  if (is_at(fault_kind::bad_argument, step, true)) {
    try {
      train_badly(step);
    } catch (const invalid_argument&) {
      outcome.rejected = std::current_exception();
    }
  }
  call_train(step, batch(step));
}

}  // namespace

planned_fault draw_fault(std::uint64_t seed, fault_kind kind, const sharded_case& drawn) {
  random_source random(seed);
  planned_fault fault;
  fault.kind = kind;
  fault.seed = seed;
  fault.rank = static_cast<int>(random.below(drawn.num_ranks));
  // Construction makes 2 calls; a fused step 7, or up to 9 with max_norm and ragged batches; a
  // step by sparse gradients 2 more, and one by dense gradients 6.
  fault.transport_call = random.below(2 + 11 * drawn.num_steps());
  fault.step = random.below(drawn.num_steps());
  fault.in_backward = random.chance(0.5);
  fault.in_offsets = random.chance(0.5);
  fault.prefetch = random.chance(0.3);
  fault.delays = kind == fault_kind::none || random.chance(0.3);
  if (kind == fault_kind::bad_batch) {
    fault.in_backward = false;
    if (drawn.options.policy != bad_id_policy::error) fault.in_offsets = true;
    if (!can_be_bad(drawn, fault)) fault.kind = fault_kind::bad_argument;
  }
  return fault;
}

std::ostream& operator<<(std::ostream& stream, const planned_fault& fault) {
  static constexpr const char* names[num_fault_kinds] = {
      "no fault",   "killed",     "silently killed", "corrupted",   "other call",
      "other rate", "other plan", "bad batch",       "bad argument"};
  return stream << names[static_cast<std::size_t>(fault.kind)] << " (rank " << fault.rank
                << ", call " << fault.transport_call << " of the transports, step " << fault.step
                << (fault.in_backward ? " backward" : " forward")
                << (fault.prefetch ? ", prefetch" : "") << (fault.delays ? ", delays" : "")
                << ", seed " << fault.seed << ")";
}

std::vector<rank_outcome> run_with(const sharded_case& drawn, const planned_fault& fault) {
  std::vector<rank_outcome> outcomes(static_cast<std::size_t>(drawn.num_ranks));
  in_process_world world(drawn.num_ranks, options_of(fault));
  for_each_rank(drawn.num_ranks, [&](int rank) {
    faulty_rank(drawn, fault, rank).run(world, outcomes[static_cast<std::size_t>(rank)]);
  });
  return outcomes;
}

}  // namespace warpbag::support
