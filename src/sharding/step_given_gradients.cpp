// SPDX-License-Identifier: Apache-2.0
// The step from gradients that a caller gives.
#include "collection/refuse.hpp"
#include "sharding/step.hpp"
#include "sharding/step_records.hpp"

namespace warpbag::sharding {

std::int64_t sharded_step::gradient_capacity(std::size_t shard) const {
  if (state_ == batch_state::none)
    collection::refuse("no batch: gradients are those of the last forward");
  return wanted_.capacity(shard, batches_[current_]);
}

void sharded_step::apply_gradients(std::span<const sparse_gradient> gradients,
                                   std::uint64_t rates_hash) {
  rank_fault fault;
  try {
    given_.take(gradients);
  } catch (const std::exception&) {
    fault.other = std::current_exception();
  }
  const auto num_ranks = static_cast<std::size_t>(calls_.size());
  const std::vector<std::vector<std::int64_t>> told(num_ranks, given_.part_hashes());
  std::vector<std::vector<std::int64_t>> learned = given_.room_for_hashes();
  agree(rank_operation::apply_gradients, rates_hash + given_.replica_hash(), fault, told, learned);
  together([&] {
    given_.check_pieces(learned);
    given_.prepare(calls_, joined_, owner_);
    owner_.prepared(stepped_);
    calls_.ranks().barrier();
    owner_.get().advance_steps(stepped_.problem(bad_id_policy::error));
    given_.apply(owner_.get());
  });
  if (trains(*configured_)) state_ = batch_state::none;
  finish_prefetch();
}

}  // namespace warpbag::sharding
