// SPDX-License-Identifier: Apache-2.0
#include "transport/in_process_ranks.hpp"

#include <algorithm>
#include <numeric>
#include <string>

namespace warpbag::ranks {
namespace {

int checked_size(int size) {
  if (size < 1) {
    throw invalid_argument("in_process_world: a world of " + std::to_string(size) + " ranks");
  }
  return size;
}

}  // namespace

in_process_ranks::in_process_ranks(int size, const fault_options& options)
    : size_(checked_size(size)),
      faults_(size, options),
      links_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size)) {
  std::vector<int> members(static_cast<std::size_t>(size));
  std::iota(members.begin(), members.end(), 0);
  all_ = std::make_shared<group>(std::move(members));
  groups_.push_back(all_);
}

void in_process_ranks::add(const std::shared_ptr<group>& made) {
  const std::lock_guard lock(mutex_);
  std::erase_if(groups_, [&](const std::weak_ptr<group>& old) {
    const auto alive = old.lock();
    return !alive || alive == made;
  });
  groups_.push_back(made);
}

void in_process_ranks::announce_death(int rank) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : groups_) {
    const auto alive = weak.lock();
    if (!alive) continue;
    const auto place = std::ranges::lower_bound(alive->members(), rank);
    if (place == alive->members().end() || *place != rank) continue;
    alive->close(was_killed(static_cast<int>(place - alive->members().begin())));
  }
}

std::size_t in_process_ranks::index_of(int from, int to) const {
  if (from < 0 || from >= size_ || to < 0 || to >= size_) {
    throw invalid_argument("in_process_world: the link from rank " + std::to_string(from) + " to " +
                           std::to_string(to) + " of " + std::to_string(size_));
  }
  return static_cast<std::size_t>(from) * static_cast<std::size_t>(size_) +
         static_cast<std::size_t>(to);
}

void in_process_ranks::count(int from, int to, std::int64_t bytes) {
  if (from == to) return;
  link& counted = links_[index_of(from, to)];
  counted.messages.fetch_add(1, std::memory_order_relaxed);
  counted.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

link_traffic in_process_ranks::traffic(int from, int to) const {
  const link& counted = links_[index_of(from, to)];
  return {counted.messages.load(std::memory_order_relaxed),
          counted.bytes.load(std::memory_order_relaxed)};
}

void in_process_ranks::reset_traffic() {
  for (link& counted : links_) {
    counted.messages.store(0, std::memory_order_relaxed);
    counted.bytes.store(0, std::memory_order_relaxed);
  }
}

failure was_killed(int rank) {
  return {failure_kind::lost, rank, "transport: rank " + std::to_string(rank) + " was killed"};
}

}  // namespace warpbag::ranks
