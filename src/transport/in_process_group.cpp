// SPDX-License-Identifier: Apache-2.0
#include "transport/in_process_group.hpp"

namespace warpbag::ranks {
namespace {

/// The groups of a complete split.
std::map<int, std::shared_ptr<group>> groups_of(const meeting& call,
                                                const std::vector<int>& members) {
  std::map<int, std::vector<int>> by_color;
  for (std::size_t r = 0; r < members.size(); ++r) {
    by_color[call.from[r]->color].push_back(members[r]);
  }
  std::map<int, std::shared_ptr<group>> groups;
  for (auto& [color, ranks] : by_color) groups[color] = std::make_shared<group>(std::move(ranks));
  return groups;
}

}  // namespace

std::shared_ptr<const meeting> group::meet(int rank, contribution&& mine,
                                           std::chrono::milliseconds deadline) {
  const call_kind kind = mine.kind;
  const auto last = std::chrono::steady_clock::now() + deadline;
  std::unique_lock lock(mutex_);
  throw_if_closed_locked();
  enter_locked(rank, std::move(mine));
  throw_if_closed_locked();
  const std::shared_ptr<meeting> call = open_;
  if (call->entered == size()) {
    if (kind == call_kind::split) call->groups = groups_of(*call, members_);
    call->complete = true;
    call->completed_at = std::chrono::steady_clock::now();
    open_.reset();
    ++calls_;
    lock.unlock();
    changed_.notify_all();
    return call;
  }
  if (const int absent = absent_locked(); departed_[static_cast<std::size_t>(absent)]) {
    close_locked(has_closed(absent, name_of(kind, call->number)));
  }
  const bool woken = changed_.wait_until(lock, last, [&] { return call->complete || failure_; });
  if (!woken) close_locked(did_not_come(absent_locked(), name_of(kind, call->number), deadline));
  // A complete call is complete for everybody, even if the group was closed since.
  if (!call->complete) throw_if_closed_locked();
  return call;
}

void group::enter_locked(int rank, contribution&& mine) {
  if (!open_) {
    open_ = std::make_shared<meeting>();
    open_->number = calls_;
    open_->from.resize(members_.size());
  }
  open_->from[static_cast<std::size_t>(rank)] = std::move(mine);
  ++open_->entered;
  for (int other = 0; other < size() && !failure_; ++other) check_against_locked(rank, other);
}

void group::check_against_locked(int rank, int other) {
  const auto& mine = open_->from[static_cast<std::size_t>(rank)];
  const auto& theirs = open_->from[static_cast<std::size_t>(other)];
  if (!theirs) return;
  if (auto found = find_mismatch(rank, mine->kind, other, theirs->kind, open_->number)) {
    close_locked(std::move(*found));
    return;
  }
  const auto compare = [&](int from, const contribution& a, int to, const contribution& b) {
    const std::vector<std::int64_t> sent = bytes_of(of_peer(a.sends, to));
    const std::vector<std::int64_t> expected = bytes_of(of_peer(b.receives, from));
    if (auto found = find_mismatch(from, sent, to, expected)) close_locked(std::move(*found));
  };
  compare(rank, *mine, other, *theirs);
  if (rank != other) compare(other, *theirs, rank, *mine);
}

int group::absent_locked() const {
  int absent = -1;
  for (int r = size(); r-- > 0;) {
    const auto index = static_cast<std::size_t>(r);
    if (open_->from[index]) continue;
    // One that has left for good explains more than one that may yet come.
    const bool better =
        absent < 0 || departed_[index] || !departed_[static_cast<std::size_t>(absent)];
    if (better) absent = r;
  }
  return absent;
}

void group::wait_for_message(int from, std::chrono::steady_clock::time_point time,
                             std::chrono::steady_clock::time_point last,
                             std::chrono::milliseconds deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, std::min(time, last), [&] { return failure_.has_value(); });
  throw_if_closed_locked();
  if (time > last) {
    close_locked(did_not_come(from, "all_to_all_v with its message", deadline));
    throw_if_closed_locked();
  }
}

void group::close(const failure& why) {
  const std::lock_guard lock(mutex_);
  close_locked(why);
}

void group::close_locked(failure why) {
  if (failure_) return;
  failure_ = std::move(why);
  changed_.notify_all();
}

void group::depart(int rank) {
  const std::lock_guard lock(mutex_);
  departed_[static_cast<std::size_t>(rank)] = true;
  if (!open_ || open_->from[static_cast<std::size_t>(rank)]) return;
  for (const auto& other : open_->from) {
    if (!other) continue;
    close_locked(has_closed(rank, name_of(other->kind, open_->number)));
    return;
  }
}

}  // namespace warpbag::ranks
