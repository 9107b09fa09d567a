// SPDX-License-Identifier: Apache-2.0
#include "membership.h"

#include <algorithm>
#include <climits>
#include <condition_variable>
#include <thread>

namespace cudasim::nccl {
namespace {

using Clock = std::chrono::steady_clock;

auto cancelled_by(const RankPtr& rank) {
  return [rank] { return rank->stopped.load(); };
}

// Finds the meeting point, in this process or another one.
ncclResult_t attach(const Joining& j) {
  auto end = Clock::now() + std::chrono::seconds(j.patient ? timeout_seconds() : 0);
  while (!j.rank->stopped) {
    if ((j.rank->hub = find_hub(j.rank->id)))
      return j.rank->hub->join(j.rank->rank, j.rank->ranks, false);
    if ((j.rank->link = Link::open(j.rank->id))) return ncclSuccess;
    if (Clock::now() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return refuse(ncclSystemError, j.patient
                                     ? "ncclCommShrink: not every remaining rank called it alike"
                                     : "the process that made the unique id does not answer");
}

ncclResult_t join_now(const std::vector<Joining>& joins) {
  ncclResult_t result = ncclSuccess;
  for (auto& j : joins)
    if (j.makes_hub) make_named_hub(j.rank->id.substr(0, j.rank->id.rfind('#')));
  for (auto& j : joins)
    if (ncclResult_t r = attach(j); r != ncclSuccess) result = r;
  for (auto& j : joins) {
    if (result != ncclSuccess) break;
    auto cancelled = cancelled_by(j.rank);
    result = j.rank->hub ? j.rank->hub->wait_joined(cancelled)
                         : j.rank->link->join(j.rank->ranks, j.rank->rank, cancelled);
  }
  return result;
}

// Ends the initialisation of a rank that has a handle already.
void settle(const RankPtr& rank, ncclResult_t result) {
  rank->error = result;
  rank->joining = false;
  if (rank->stopped) leave(rank, false);  // aborted meanwhile
}

template <class T>
ncclResult_t in_background(std::vector<T> list, ncclResult_t (*work)(const std::vector<T>&),
                           const RankPtr& (*rank_of)(const T&)) {
  for (auto& each : list) {
    const RankPtr& rank = rank_of(each);
    rank->joining = rank->unpolled = true;
    if (each.out) *each.out = new_handle(rank);
  }
  std::thread([list, work, rank_of] {
    ncclResult_t result = work(list);
    for (auto& each : list) settle(rank_of(each), result);
  }).detach();
  return ncclInProgress;
}

template <class T>
bool any_nonblocking(const std::vector<T>& list, const RankPtr& (*rank_of)(const T&)) {
  return std::any_of(list.begin(), list.end(),
                     [&](auto& each) { return !rank_of(each)->blocking; });
}

const RankPtr& joining_rank(const Joining& j) { return j.rank; }
const RankPtr& child_rank(const Splitting& s) { return s.child; }

// Waits until every rank of the parent has named its colour.
ncclResult_t find_places(const std::vector<Splitting>& splits, std::vector<Hub::Place>& places) {
  struct Pending {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Hub::Place> place;
  };
  std::vector<std::shared_ptr<Pending>> waits(splits.size());
  for (size_t i = 0; i < splits.size(); ++i) {
    auto& s = splits[i];
    if (!s.parent->hub) continue;
    auto w = waits[i] = std::make_shared<Pending>();
    s.parent->hub->submit_split(s.parent->rank, s.color, s.key, [w](Hub::Place place) {
      std::lock_guard lock(w->mutex);
      w->place = place;
      w->changed.notify_all();
    });
  }
  places.resize(splits.size());
  for (size_t i = 0; i < splits.size(); ++i) {
    auto& s = splits[i];
    if (waits[i]) {
      std::unique_lock lock(waits[i]->mutex);
      if (!waits[i]->changed.wait_for(lock, std::chrono::seconds(timeout_seconds()),
                                      [&] { return waits[i]->place.has_value(); }))
        return refuse(ncclSystemError,
                      "ncclCommSplit: not every rank of the communicator called it");
      places[i] = *waits[i]->place;
    } else if (ncclResult_t r =
                   s.parent->link->split(s.color, s.key, places[i], cancelled_by(s.child));
               r != ncclSuccess) {
      return refuse(r, "ncclCommSplit: not every rank of the communicator called it");
    }
    if (!places[i].complete)
      return refuse(ncclRemoteError, "ncclCommSplit: a rank of the communicator is gone");
  }
  return ncclSuccess;
}

ncclResult_t split_now(const std::vector<Splitting>& splits) {
  std::vector<Hub::Place> places;
  if (ncclResult_t r = find_places(splits, places); r != ncclSuccess) return r;
  std::vector<Joining> joins;
  for (size_t i = 0; i < splits.size(); ++i) {
    if (places[i].id.empty()) continue;  // NCCL_SPLIT_NOCOLOR
    Rank& child = *splits[i].child;
    child.rank = places[i].rank;
    child.ranks = places[i].ranks;
    child.id = places[i].id;
    joins.push_back({splits[i].out, splits[i].child});
  }
  return join_now(joins);
}

// The name of the survivors' meeting point: each works it out without asking anyone, since the
// old meeting point may be gone with its process.
std::string shrink_name(const Rank& parent, int round, const std::vector<int>& excluded) {
  std::string text = parent.id + "/" + std::to_string(round);
  for (int r : excluded) text += "," + std::to_string(r);
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return "cudasim-nccl-shrink-" + std::to_string(hash);
}

}  // namespace

ncclResult_t join_all(std::vector<Joining> joins) {
  if (any_nonblocking(joins, joining_rank))
    return in_background(std::move(joins), join_now, joining_rank);
  ncclResult_t result = join_now(joins);
  if (result == ncclSuccess)
    for (auto& j : joins) *j.out = new_handle(j.rank);
  return result;
}

ncclResult_t split_all(std::vector<Splitting> splits) {
  for (auto& s : splits) *s.out = nullptr;
  if (!any_nonblocking(splits, child_rank)) {
    ncclResult_t result = split_now(splits);
    for (auto& s : splits)
      if (result == ncclSuccess && s.color != NCCL_SPLIT_NOCOLOR) *s.out = new_handle(s.child);
    return result;
  }
  for (auto& s : splits) {
    s.parent->in_progress();
    if (s.color == NCCL_SPLIT_NOCOLOR) s.out = nullptr;  // gets no communicator
  }
  return in_background(std::move(splits), split_now, child_rank);
}

ncclResult_t prepare_rank(int ranks, int index, const std::string& id, const ncclConfig_t* config,
                          RankPtr& out) {
  if (ranks < 1 || index < 0 || index >= ranks)
    return refuse(ncclInvalidArgument,
                  "no such rank: " + std::to_string(index) + " of " + std::to_string(ranks));
  auto rank = std::make_shared<Rank>();
  rank->rank = rank->origin = index;
  rank->ranks = ranks;
  rank->id = id;
  rank->device = cudasim_plugin_device();
  if (rank->device < 0) return ncclUnhandledCudaError;
  if (config) {
    if (config->magic != 0xcafebeef)
      return refuse(ncclInvalidArgument, "ncclConfig_t is not NCCL_CONFIG_INITIALIZER");
    if (config->blocking != NCCL_CONFIG_UNDEF_INT && (config->blocking < 0 || config->blocking > 1))
      return refuse(ncclInvalidArgument, "ncclConfig_t::blocking is neither 0 nor 1");
    if (config->blocking == 0) rank->blocking = false;
  }
  out = rank;
  return ncclSuccess;
}

ncclResult_t prepare_child(const RankPtr& parent, const ncclConfig_t* config, RankPtr& out) {
  ncclResult_t result = prepare_rank(parent->ranks, parent->rank, "", config, out);
  if (result != ncclSuccess) return result;
  out->device = parent->device;
  out->origin = parent->origin;
  if (!config || config->blocking == NCCL_CONFIG_UNDEF_INT) out->blocking = parent->blocking;
  return ncclSuccess;
}

ncclResult_t prepare_shrink(const RankPtr& parent, const int* list, int count,
                            const ncclConfig_t* config, ncclComm_t* out, Joining& join) {
  if (count < 1 || !list) return refuse(ncclInvalidArgument, "ncclCommShrink: no ranks to exclude");
  std::vector<int> excluded(list, list + count);
  std::sort(excluded.begin(), excluded.end());
  excluded.erase(std::unique(excluded.begin(), excluded.end()), excluded.end());
  if (excluded.front() < 0 || excluded.back() >= parent->ranks)
    return refuse(ncclInvalidArgument, "ncclCommShrink: no such rank to exclude");
  if (std::binary_search(excluded.begin(), excluded.end(), parent->rank))
    return refuse(ncclInvalidArgument, "ncclCommShrink: called by a rank it excludes");
  if (ncclResult_t r = prepare_child(parent, config, join.rank); r != ncclSuccess) return r;
  int before = static_cast<int>(std::lower_bound(excluded.begin(), excluded.end(), parent->rank) -
                                excluded.begin());
  join.out = out;
  join.rank->rank = parent->rank - before;
  join.rank->ranks = parent->ranks - static_cast<int>(excluded.size());
  join.rank->id = named_hub_id(shrink_name(*parent, parent->shrinks++, excluded));
  join.makes_hub = join.rank->rank == 0;
  join.patient = true;
  return ncclSuccess;
}

void leave(const RankPtr& rank, bool orderly) {
  if (!orderly) rank->stop();
  if (rank->joining) return;  // the background thread sees it
  if (rank->link) {
    rank->link->leave(orderly);
  } else if (rank->hub && !orderly) {
    rank->hub->lose(rank->rank, "rank " + std::to_string(rank->rank) + " has aborted");
  } else if (rank->hub) {
    // The others' meeting point is here: stay until they have left too.
    if (rank->hub->has_remote()) rank->hub->wait_remote_left();
    rank->hub->leave(rank->rank);
  }
}

}  // namespace cudasim::nccl
