// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "transport/in_process_ranks.hpp"

namespace warpbag {

struct in_process_world::state : ranks::in_process_ranks {
  using in_process_ranks::in_process_ranks;
};

in_process_world::in_process_world(int size, const fault_options& faults)
    : state_(std::make_shared<state>(size, faults)) {}

in_process_world::~in_process_world() = default;

int in_process_world::size() const { return state_->size(); }

std::unique_ptr<transport> in_process_world::connect(int rank) {
  if (rank < 0 || rank >= size()) {
    throw invalid_argument("in_process_world: rank " + std::to_string(rank) + " of " +
                           std::to_string(size()));
  }
  return ranks::make_in_process_transport(state_, state_->all(), rank, transport::default_deadline);
}

link_traffic in_process_world::traffic(int from, int to) const { return state_->traffic(from, to); }

link_traffic in_process_world::total_traffic() const {
  link_traffic total;
  for (int from = 0; from < size(); ++from) {
    for (int to = 0; to < size(); ++to) {
      const link_traffic link = traffic(from, to);
      total.messages += link.messages;
      total.bytes += link.bytes;
    }
  }
  return total;
}

void in_process_world::reset_traffic() { state_->reset_traffic(); }

void in_process_world::run(int size, const std::function<void(transport&)>& body) {
  in_process_world world(size);
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(size));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank, mine = world.connect(rank)]() mutable {
        try {
          body(*mine);
        } catch (...) {
          thrown[static_cast<std::size_t>(rank)] = std::current_exception();
        }
        mine.reset();  // the others need not wait for this rank
      });
    }
  }
  for (const std::exception_ptr& first : thrown) {
    if (first) std::rethrow_exception(first);
  }
}

}  // namespace warpbag
