// SPDX-License-Identifier: Apache-2.0
// The first half of a step ahead of the others, and what waits for it.
#include "sharding/step.hpp"

#include "collection/refuse.hpp"
#include "sharding/step_records.hpp"

namespace warpbag::sharding {

using collection::call_records;
using collection::refuse;

sharded_step::~sharded_step() {
  try {
    if (prefetched_.valid()) {
      if (asks_beside_) {
        routing_calls_.close(rank_lost("rank " + std::to_string(calls_.rank()) +
                                           " dropped its collection in the middle of a prefetch",
                                       calls_.rank()));
        prefetched_.wait();
      }
      calls_.ranks().wait();  // with a deadline: the router's work is behind this stream's
    }
    await_router();
    side_->follow();  // where the memory of batches goes back
  } catch (const std::exception&) {
    // The transport has closed: nothing is on its way to this memory any more.
    await_router();
  }
}

void sharded_step::reserve(std::span<const jagged_view> bags) {
  await_router();
  call_records call;
  make_call(bags, call);
  router_.reserve(call);
  bags_.prepared(with_a_row_per_lookup(call), true);
  summed_ = true;  // what the last forward left in the backend may be gone
}

void sharded_step::prefetch(std::span<const jagged_view> bags) {
  if (prefetched_.valid()) refuse("prefetch after a prefetch whose batch was not used yet");
  await_router();
  routed_batch& next = batches_[1 - current_];
  std::exception_ptr rejected;
  try {
    make_call(bags, next.call);
    side_->follow();
  } catch (const std::exception&) {
    rejected = std::current_exception();
  }
  found_ = std::async(std::launch::async, [this, &next, rejected]() mutable {
    try {
      side_->enter_thread();
    } catch (const std::exception&) {
      rejected = std::current_exception();
    }
    return router_.find(next, rejected);
  });
  prefetched_ = std::async(asks_beside_ ? std::launch::async : std::launch::deferred,
                           [this, &next] { ask_prefetched(next); });
}

void sharded_step::ask_prefetched(routed_batch& batch) {
  try {
    // The thread's work is behind that of the main stream, which may wait for a rank that is lost:
    // the transport waits with a deadline.
    routing_calls_.ranks().wait();
    router_.ask(routing_calls_, batch, found_.get());
  } catch (const transport_error& lost) {
    if (!asks_beside_) calls_.close(lost);  // else the main thread's calls find out by themselves
    throw;
  }
}

void sharded_step::finish_prefetch() {
  if (!asks_beside_ && prefetched_.valid()) prefetched_.wait();  // forward throws what it threw
}

/// The others have this rank's rows on their way already: a refusal now ends the ranks' work.
void sharded_step::take_prefetched(const call_records& call, std::exception_ptr rejected) {
  together([&] {
    if (rejected) std::rethrow_exception(rejected);
    collection::check_same_batch(batch().call, call, configured_->names());
    batch().call = call;
  });
}

}  // namespace warpbag::sharding
