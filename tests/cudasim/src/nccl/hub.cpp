// SPDX-License-Identifier: Apache-2.0
#include "hub.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "remote.h"

namespace cudasim::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{
    20};  // how soon a waiting call sees that it was cancelled

std::mutex hubs_mutex;
std::map<std::string, std::shared_ptr<Hub>>& hubs() {
  static auto* h = new std::map<std::string, std::shared_ptr<Hub>>;
  return *h;
}
pid_t hubs_pid = 0;

}  // namespace

int timeout_seconds() {
  static const int seconds = [] {
    const char* v = std::getenv("CUDASIM_NCCL_TIMEOUT");
    int n = v ? std::atoi(v) : 60;
    return n > 0 ? n : 60;
  }();
  return seconds;
}

void complain(const std::string& line) { cudasim_plugin_complain(("nccl: " + line).c_str()); }

// ------------------------------------------------------------- membership ---

ncclResult_t Hub::join(int rank, int n, bool remote) {
  std::lock_guard lock(mutex_);
  if (n < 1 || rank < 0 || rank >= n) return ncclInvalidArgument;
  if (ranks == 0) {
    ranks = n;
    joined_.assign(static_cast<size_t>(n), Member::absent);
    split_round_.assign(static_cast<size_t>(n), 0);
  }
  if (n != ranks) {
    complain("rank " + std::to_string(rank) + " joins a communicator of " + std::to_string(ranks) +
             " ranks as if it had " + std::to_string(n));
    error_ = ncclInvalidUsage;
    changed_.notify_all();
    return ncclInvalidUsage;
  }
  if (joined_[static_cast<size_t>(rank)] != Member::absent) {
    complain("rank " + std::to_string(rank) + " joins the same communicator twice");
    return ncclInvalidUsage;
  }
  joined_[static_cast<size_t>(rank)] = remote ? Member::remote : Member::local;
  changed_.notify_all();
  return ncclSuccess;
}

ncclResult_t Hub::wait_joined(const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_);
  auto full = [&] { return error_ != ncclSuccess || members(Member::absent) == 0; };
  auto end = Clock::now() + std::chrono::seconds(timeout_seconds());
  while (!changed_.wait_for(lock, kPoll, full)) {
    if (cancelled()) return ncclInternalError;
    if (Clock::now() < end) continue;
    std::string missing;
    for (size_t r = 0; r < joined_.size(); ++r)
      if (joined_[r] == Member::absent) missing += " " + std::to_string(r);
    complain("communicator of " + std::to_string(ranks) + " ranks: not joined after " +
             std::to_string(timeout_seconds()) + " s: rank" + missing);
    error_ = ncclSystemError;
  }
  return error_;
}

long Hub::members(Member state) const { return std::count(joined_.begin(), joined_.end(), state); }

bool Hub::has_remote() {
  std::lock_guard lock(mutex_);
  return members(Member::remote) > 0;
}

void Hub::leave(int rank) {
  std::lock_guard lock(mutex_);
  if (joined_.empty()) return;  // its own join was refused
  joined_[static_cast<size_t>(rank)] = Member::left;
  changed_.notify_all();
}

void Hub::lose(int rank, const std::string& why) {
  stop(rank);
  std::vector<std::shared_ptr<Meeting>> broken;
  std::vector<std::function<void(Place)>> splits;
  {
    std::lock_guard lock(mutex_);
    if (joined_.empty() || joined_[static_cast<size_t>(rank)] == Member::left) return;
    joined_[static_cast<size_t>(rank)] = Member::left;
    error_ = ncclRemoteError;
    lost_ = true;
    for (auto& weak : open_)
      if (auto m = weak.lock(); m && !m->finished && !m->running) broken.push_back(m);
    for (auto& [round, list] : splits_)
      for (auto& s : list)
        if (s) splits.push_back(std::move(s->done));
    splits_.clear();
    changed_.notify_all();
  }
  complain(why);
  for (auto& m : broken) fail(*m, ncclRemoteError, "");
  for (auto& done : splits) done({});
  cudasim_plugin_changed();
}

void Hub::stop(int rank) {
  std::unique_lock lock(mutex_);
  for (auto& weak : std::vector(open_)) {
    auto m = weak.lock();
    if (!m) continue;
    for (auto& p : m->parts) {
      if (!p.present || p.rank != rank || m->finished) continue;
      if (m->running) changed_.wait(lock, [&] { return m->finished.load(); });
      p.stopped = true;
    }
  }
}

void Hub::wait_remote_left() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(timeout_seconds()),
                    [&] { return error_ != ncclSuccess || members(Member::remote) == 0; });
}

// --------------------------------------------------------------- meetings ---

std::shared_ptr<Meeting> Hub::meeting(const Task& task, int rank, size_t& lane) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Meeting>* slot;
  size_t lanes;
  if (task.point_to_point()) {
    bool sender = task.kind == Kind::send;
    slot = &transfers_[{sender ? rank : task.root, sender ? task.root : rank, task.index}];
    lane = sender ? 0 : 1;
    lanes = 2;
  } else {
    slot = &collectives_[task.index];
    lane = static_cast<size_t>(rank);
    lanes = static_cast<size_t>(ranks);
  }
  if (!*slot) {
    *slot = std::make_shared<Meeting>();
    (*slot)->parts.resize(lanes);
    std::erase_if(open_, [](auto& weak) { return weak.expired(); });
    open_.push_back(*slot);
  }
  auto m = *slot;
  // Nobody looks a meeting up again once everyone has found it.
  if (std::count_if(m->parts.begin(), m->parts.end(), [](auto& p) { return p.present; }) + 1 ==
      static_cast<long>(lanes)) {
    if (task.point_to_point())
      transfers_.erase({task.kind == Kind::send ? rank : task.root,
                        task.kind == Kind::send ? task.root : rank, task.index});
    else
      collectives_.erase(task.index);
  }
  return m;
}

std::string Hub::name_of(const Meeting& m, size_t lane) const {
  const Task& t = m.parts[lane].task;
  if (!t.point_to_point()) return "rank " + std::to_string(lane) + " calls " + t.text();
  const Task& other = m.parts[1 - lane].task;
  return "rank " + std::to_string(other.root) + " calls " + t.text();
}

// Called with mutex_ held after lane came in.
void Hub::check_match(Meeting& m, size_t lane) {
  const Task& mine = m.parts[lane].task;
  for (size_t r = 0; r < m.parts.size(); ++r) {
    if (r == lane || !m.parts[r].present || m.result != ncclSuccess) continue;
    const Task& other = m.parts[r].task;
    bool same = mine.count == other.count && mine.type == other.type;
    if (!mine.point_to_point())
      same = same && mine.kind == other.kind && mine.reduction.op == other.reduction.op &&
             mine.root == other.root;
    if (same) continue;
    complain((mine.point_to_point() ? "transfer #" : "collective #") +
             std::to_string(mine.index + 1) + " does not match: " + name_of(m, std::min(r, lane)) +
             ", " + name_of(m, std::max(r, lane)));
    m.result = ncclInvalidUsage;
    error_ = ncclInvalidUsage;
  }
}

void Hub::enter(const std::shared_ptr<Meeting>& m, size_t lane, int rank, Part part) {
  std::function<void()> tell;
  {
    std::lock_guard lock(mutex_);
    part.present = true;
    part.rank = rank;
    if (m->finished) tell = std::move(part.done);  // it failed before this part came
    m->parts[lane] = std::move(part);
    check_match(*m, lane);
  }
  if (tell) tell();
}

bool Hub::peer_wanted(Meeting& m, size_t lane) {
  std::lock_guard lock(mutex_);
  for (size_t r = 0; r < m.parts.size(); ++r)
    if (r != lane && m.parts[r].wanted) return true;
  return false;
}

std::vector<PluginOp*> Hub::want(Meeting& m, size_t lane) {
  std::lock_guard lock(mutex_);
  m.parts[lane].wanted = true;
  std::vector<PluginOp*> peers;
  if (!m.finished)
    for (size_t r = 0; r < m.parts.size(); ++r)
      if (r != lane && m.parts[r].op) peers.push_back(m.parts[r].op);
  return peers;
}

void Hub::arrive(Meeting& m, size_t lane) {
  std::lock_guard lock(mutex_);
  if (m.parts[lane].arrived) return;
  m.parts[lane].arrived = true;
  m.parts[lane].since = Clock::now();
}

bool Hub::ready(Meeting& m) {
  std::string line;
  {
    std::lock_guard lock(mutex_);
    if (m.finished || m.result != ncclSuccess || error_ != ncclSuccess) {
      if (m.result == ncclSuccess && !m.finished) m.result = error_;
      return true;
    }
    std::string missing;
    auto oldest = Clock::time_point::max();
    size_t here = 0;
    for (size_t r = 0; r < m.parts.size(); ++r) {
      if (m.parts[r].arrived && !m.parts[r].stopped) {
        oldest = std::min(oldest, m.parts[r].since);
        here = r;
        continue;
      }
      const Task& t = m.parts[here].task;
      int rank = m.parts.size() == 2 && t.point_to_point() ? t.root : static_cast<int>(r);
      missing += " " + std::to_string(rank) +
                 (m.parts[r].stopped   ? " (aborted or revoked)"
                  : m.parts[r].present ? " (called, but its stream has not come to it)"
                                       : " (never called)");
    }
    if (missing.empty()) return true;
    if (Clock::now() - oldest < std::chrono::seconds(timeout_seconds())) return false;
    m.result = ncclSystemError;
    error_ = ncclSystemError;
    line = std::string(m.parts[here].task.point_to_point() ? "transfer #" : "collective #") +
           std::to_string(m.parts[here].task.index + 1) + ": " + m.parts[here].task.text() +
           " waited " + std::to_string(timeout_seconds()) + " s for rank" + missing;
  }
  complain(line);
  return true;
}

void Hub::fail(Meeting& m, ncclResult_t why, const std::string& line) {
  {
    std::lock_guard lock(mutex_);
    if (m.finished || m.result != ncclSuccess) return;
    m.result = why;
    error_ = why;
  }
  if (!line.empty()) complain(line);
  finish(m);
  cudasim_plugin_changed();
}

ncclResult_t Hub::async_error() {
  std::lock_guard lock(mutex_);
  return error_;
}

// Marks the meeting finished and tells remote parts.
void Hub::finish(Meeting& m) {
  std::vector<std::function<void()>> tell;
  {
    std::lock_guard lock(mutex_);
    m.finished = true;
    for (auto& p : m.parts) {
      p.op = nullptr;
      if (p.done) tell.push_back(std::move(p.done));
      p.done = nullptr;
    }
    changed_.notify_all();
  }
  for (auto& f : tell) f();
}

ncclResult_t Hub::execute(Meeting& m) {
  {
    std::unique_lock lock(mutex_);
    if (m.running && !m.finished) changed_.wait(lock, [&] { return m.finished.load(); });
    if (m.finished) return m.result;
    // A rank may have stopped since the meeting was found complete: its buffers are gone.
    if (m.result == ncclSuccess && m.stopped()) m.result = ncclRemoteError;
    if (m.result == ncclSuccess) m.result = error_;
    m.running = true;
  }
  if (m.result == ncclSuccess) compute(m);
  finish(m);
  cudasim_plugin_changed();
  return m.result;
}

// ------------------------------------------------------------------ split ---

void Hub::submit_split(int rank, int color, int key, std::function<void(Place)> done) {
  std::vector<std::optional<Split>> all;
  {
    std::lock_guard lock(mutex_);
    if (lost_) return done({});
    int round = split_round_[static_cast<size_t>(rank)]++;
    auto& list = splits_[round];
    list.resize(static_cast<size_t>(ranks));
    list[static_cast<size_t>(rank)] = Split{color, key, std::move(done)};
    if (std::count_if(list.begin(), list.end(), [](auto& s) { return s.has_value(); }) < ranks)
      return;
    all = std::move(list);
    splits_.erase(round);
  }
  std::map<int, std::vector<int>> groups;
  for (int r = 0; r < ranks; ++r) groups[all[static_cast<size_t>(r)]->color].push_back(r);
  for (auto& [c, members] : groups) {
    std::stable_sort(members.begin(), members.end(), [&](int a, int b) {
      return all[static_cast<size_t>(a)]->key < all[static_cast<size_t>(b)]->key;
    });
    Place place;
    place.complete = true;
    if (c != NCCL_SPLIT_NOCOLOR) place.id = new_hub()->id;
    place.ranks = static_cast<int>(members.size());
    for (size_t i = 0; i < members.size(); ++i) {
      place.rank = static_cast<int>(i);
      all[static_cast<size_t>(members[i])]->done(place);
    }
  }
}

// ------------------------------------------------------------------- hubs ---

namespace {

std::shared_ptr<Hub> add_hub(const std::string& server, uint64_t number) {
  std::lock_guard lock(hubs_mutex);
  if (hubs_pid != getpid()) {  // first use, or a forked child
    hubs().clear();
    hubs_pid = getpid();
  }
  auto hub = std::make_shared<Hub>();
  hub->id = server + "#" + std::to_string(number);
  hubs()[hub->id] = hub;
  return hub;
}

}  // namespace

std::shared_ptr<Hub> new_hub() {
  static std::atomic<uint64_t> next{1};
  return add_hub(server_name(), next++);
}

std::string named_hub_id(const std::string& name) { return name + "#1"; }

void make_named_hub(const std::string& name) {
  add_hub(name, 1);
  listen_for_ranks(name);  // after: who connects finds the hub
}

std::shared_ptr<Hub> find_hub(const std::string& id) {
  std::lock_guard lock(hubs_mutex);
  if (hubs_pid != getpid()) return nullptr;
  auto it = hubs().find(id);
  return it == hubs().end() ? nullptr : it->second;
}

}  // namespace cudasim::nccl
