// SPDX-License-Identifier: Apache-2.0
// Over 400 lines: one program, because every scenario shares its ranks and checks.
// NCCL when things go wrong, and calls that do not wait.
// Usage: nccl_faults MODE N [DEAD-RANK], the modes at the end of this file.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "../../src/runtime/cudasim.h"
#include "nccl_ranks.h"

using Clock = std::chrono::steady_clock;

static double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Asks until the communicator has left ncclInProgress; gives up after ten seconds.
static ncclResult_t settle(ncclComm_t comm, int* polls = nullptr) {
  ncclResult_t state = ncclInProgress;
  auto start = Clock::now();
  while (state == ncclInProgress && seconds_since(start) < 10) {
    NOK(ncclCommGetAsyncError(comm, &state));
    if (state == ncclInProgress) {
      if (polls) ++*polls;
      usleep(1000);
    }
  }
  return state;
}

// Waits for an error that some other rank causes.
static ncclResult_t await_error(ncclComm_t comm) {
  ncclResult_t state = ncclSuccess;
  auto start = Clock::now();
  while (state == ncclSuccess && seconds_since(start) < 10) {
    NOK(ncclCommGetAsyncError(comm, &state));
    usleep(1000);
  }
  return state;
}

static ncclConfig_t nonblocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

// The sum of every member's 1000 * world rank, over the given communicator.
static void check_sum(Rank& r, ncclComm_t comm, float expected) {
  ncclResult_t result = ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, comm, r.stream);
  CHECK(result == ncclSuccess || (result == ncclInProgress && settle(comm) == ncclSuccess));
  CHECK(r.get(r.out, 1)[0] == expected);
}

static float total(int n, int without = -1) {
  float sum = 0;
  for (int r = 0; r < n; ++r)
    if (r != without) sum += 1000.f * r;
  return sum;
}

template <class F>
static void in_threads(int n, F&& body) {
  std::vector<std::thread> all;
  for (int i = 0; i < n; ++i) all.emplace_back([&body, i] { body(i); });
  for (auto& t : all) t.join();
}

static Rank make_rank(int rank, int n, int device, ncclUniqueId id) {
  Rank r;
  r.rank = rank;
  r.ranks = n;
  r.device = device;
  OK(cudaSetDevice(device));
  NOK(ncclCommInitRank(&r.comm, n, id, rank));
  r.prepare();
  return r;
}

// ------------------------------------------------------------ blocking = 0 ---

static void nonblocking_rank(int rank, int n, int device, ncclUniqueId id) {
  Rank r;
  r.rank = rank;
  r.ranks = n;
  r.device = device;
  OK(cudaSetDevice(device));
  ncclConfig_t config = nonblocking();
  if (rank == 1) usleep(200000);  // the others have to ask more than once
  CHECK(ncclCommInitRankConfig(&r.comm, n, id, rank, &config) == ncclInProgress);
  int polls = 0;
  if (rank == 0) {  // too early: refused, and no harm done
    float* p = nullptr;
    CHECK(ncclAllReduce(p, p, 1, ncclFloat, ncclSum, r.comm, nullptr) == ncclInvalidArgument);
  }
  CHECK(settle(r.comm, &polls) == ncclSuccess);
  CHECK(polls >= 1);
  r.prepare();
  CHECK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream) == ncclInProgress);
  CHECK(settle(r.comm) == ncclSuccess);
  CHECK(r.get(r.out, 1)[0] == total(n));
  NOK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream));  // connected by now
  // two colours, and a rank without one
  ncclComm_t part = nullptr;
  int color = rank == n - 1 && n > 2 ? NCCL_SPLIT_NOCOLOR : rank % 2;
  CHECK(ncclCommSplit(r.comm, color, rank, &part, nullptr) == ncclInProgress);
  CHECK(settle(r.comm) == ncclSuccess);
  CHECK((part == nullptr) == (color == NCCL_SPLIT_NOCOLOR));
  if (part) {
    CHECK(settle(part) == ncclSuccess);
    float sum = 0;
    for (int k = 0; k < (n > 2 ? n - 1 : n); ++k)
      if (k % 2 == color) sum += 1000.f * k;
    check_sum(r, part, sum);
    NOK(ncclCommDestroy(part));
  }
  CHECK(ncclCommFinalize(r.comm) == ncclInProgress);
  CHECK(settle(r.comm) == ncclSuccess);
  NOK(ncclCommDestroy(r.comm));
}

static int nonblocking_threads(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  in_threads(n, [&](int i) { nonblocking_rank(i, n, i, id); });
  return report();
}

static int nonblocking_processes(int n) {
  return in_processes(n, -1, [&](int i, ncclUniqueId id) { nonblocking_rank(i, n, 0, id); });
}

// One thread starts them all in a group.
static int nonblocking_group(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  std::vector<Rank> ranks(n);
  ncclConfig_t config = nonblocking();
  NOK(ncclGroupStart());
  for (int i = 0; i < n; ++i) {
    OK(cudaSetDevice(i));
    NOK(ncclCommInitRankConfig(&ranks[i].comm, n, id, i, &config));
  }
  CHECK(ncclGroupEnd() == ncclInProgress);
  for (int i = 0; i < n; ++i) {
    CHECK(settle(ranks[i].comm) == ncclSuccess);
    ranks[i].rank = ranks[i].device = i;
    ranks[i].ranks = n;
    ranks[i].prepare();
  }
  NOK(ncclGroupStart());
  for (Rank& r : ranks) NOK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream));
  CHECK(ncclGroupEnd() == ncclInProgress);
  for (Rank& r : ranks) CHECK(settle(r.comm) == ncclSuccess);
  for (Rank& r : ranks) CHECK(r.get(r.out, 1)[0] == total(n));
  // an uninitialised configuration
  ncclConfig_t garbage{};
  ncclComm_t none = nullptr;
  CHECK(ncclCommInitRankConfig(&none, 1, id, 0, &garbage) == ncclInvalidArgument);
  return report();
}

static int scalable(int n) {
  std::vector<ncclUniqueId> ids(2);
  for (auto& id : ids) NOK(ncclGetUniqueId(&id));
  in_threads(n, [&](int i) {
    Rank r;
    r.rank = r.device = i;
    r.ranks = n;
    OK(cudaSetDevice(i));
    NOK(ncclCommInitRankScalable(&r.comm, n, i, 2, ids.data(), nullptr));
    r.prepare();
    check_sum(r, r.comm, total(n));
    NOK(ncclCommDestroy(r.comm));
  });
  ncclComm_t none;
  CHECK(ncclCommInitRankScalable(&none, n, 0, 0, ids.data(), nullptr) == ncclInvalidArgument);
  return report();
}

// ------------------------------------------------------------------- abort ---

// Rank 0 waits in cudaStreamSynchronize for a collective that rank 1 does not join; another
// thread aborts its communicator. Everybody hears of it, and every device still works.
static int abort_pending(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  std::vector<Rank> ranks(n);
  in_threads(n, [&](int i) { ranks[i] = make_rank(i, n, i, id); });
  NOK(ncclGroupStart());
  for (Rank& r : ranks)
    if (r.rank != 1) NOK(ncclAllReduce(r.in, r.out, 8, ncclFloat, ncclSum, r.comm, r.stream));
  NOK(ncclGroupEnd());
  std::atomic<bool> waiting{false};
  std::thread waiter([&] {
    OK(cudaSetDevice(0));
    waiting = true;
    CHECK(cudaStreamSynchronize(ranks[0].stream) == cudaErrorLaunchFailure);
    CHECK(cudaStreamSynchronize(ranks[0].stream) == cudaSuccess);  // said once
    (void)cudaGetLastError();
  });
  while (!waiting) usleep(1000);
  usleep(100000);
  auto start = Clock::now();
  NOK(ncclCommAbort(ranks[0].comm));
  waiter.join();
  for (Rank& r : ranks) {
    if (r.rank == 0) continue;
    CHECK(await_error(r.comm) == ncclRemoteError);
    OK(cudaSetDevice(r.device));
    CHECK((cudaStreamSynchronize(r.stream) == cudaSuccess) == (r.rank == 1));
    (void)cudaGetLastError();
    CHECK(ncclAllReduce(r.in, r.out, 8, ncclFloat, ncclSum, r.comm, r.stream) == ncclRemoteError);
    NOK(ncclCommAbort(r.comm));
  }
  CHECK(seconds_since(start) < 2);
  for (Rank& r : ranks) CHECK(r.get(r.in, 1)[0] == 1000.f * r.rank);
  NOK(ncclGetUniqueId(&id));
  in_threads(n, [&](int i) {
    OK(cudaSetDevice(i));
    NOK(ncclCommInitRank(&ranks[i].comm, n, id, i));
    check_sum(ranks[i], ranks[i].comm, total(n));
  });
  return report();
}

// A rank that never comes keeps the others in initialisation; they can leave it.
static int abort_init(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  ncclConfig_t config = nonblocking();
  ncclComm_t comm;
  OK(cudaSetDevice(0));
  CHECK(ncclCommInitRankConfig(&comm, n, id, 0, &config) == ncclInProgress);
  usleep(50000);
  ncclResult_t state;
  NOK(ncclCommGetAsyncError(comm, &state));
  CHECK(state == ncclInProgress);
  auto start = Clock::now();
  NOK(ncclCommAbort(comm));
  CHECK(seconds_since(start) < 1);
  return report();
}

// ---------------------------------------------------------- revoke, shrink ---

// Rank `dead` takes no part any more; the others go on without it.
static void go_on_without(Rank& r, int dead, bool revoke, bool nonblocking_child) {
  if (revoke) {
    NOK(ncclCommRevoke(r.comm, NCCL_REVOKE_DEFAULT));
    CHECK(settle(r.comm) == ncclSuccess);
    CHECK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream) == ncclInvalidUsage);
    CHECK(ncclCommFinalize(r.comm) == ncclInvalidUsage);
  }
  ncclComm_t smaller = nullptr;
  ncclConfig_t config = nonblocking();
  int flags = revoke ? NCCL_SHRINK_DEFAULT : NCCL_SHRINK_ABORT;
  ncclResult_t result =
      ncclCommShrink(r.comm, &dead, 1, &smaller, nonblocking_child ? &config : nullptr, flags);
  CHECK(result == (nonblocking_child ? ncclInProgress : ncclSuccess));
  CHECK(settle(smaller) == ncclSuccess);
  (void)cudaStreamSynchronize(r.stream);  // what was under way has ended
  (void)cudaGetLastError();
  int count = 0, index = -1;
  NOK(ncclCommCount(smaller, &count));
  NOK(ncclCommUserRank(smaller, &index));
  CHECK(count == r.ranks - 1 && index == r.rank - (r.rank > dead));
  check_sum(r, smaller, total(r.ranks, dead));
  NOK(ncclCommAbort(r.comm));
  check_sum(r, smaller, total(r.ranks, dead));
  NOK(ncclCommDestroy(smaller));
}

static int shrink_threads(int n, int dead, bool revoke) {
  auto kill = CUDASIM_FIND(cudasim_nccl_kill);
  if (kill) kill(dead, 2);
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  in_threads(n, [&](int i) {
    Rank r = make_rank(i, n, i, id);
    check_sum(r, r.comm, total(n));
    // The dead rank's call may come after the others have given up: any result will do.
    ncclResult_t second = ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream);
    CHECK(second == ncclSuccess || i == dead);
    if (i != dead) {
      CHECK(cudaStreamQuery(r.stream) == cudaErrorNotReady);
      go_on_without(r, dead, revoke, i % 2);
    }
  });
  return report();
}

static int shrink_group(int n) {
  auto ranks = world(n);
  std::vector<ncclComm_t> smaller(n);
  int excluded[] = {1, 1};
  NOK(ncclGroupStart());
  for (Rank& r : ranks)
    if (r.rank != 1)
      NOK(ncclCommShrink(r.comm, excluded, 2, &smaller[r.rank], nullptr, NCCL_SHRINK_DEFAULT));
  NOK(ncclGroupEnd());
  NOK(ncclGroupStart());
  for (Rank& r : ranks)
    if (r.rank != 1)
      NOK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, smaller[r.rank], r.stream));
  NOK(ncclGroupEnd());
  for (Rank& r : ranks)
    if (r.rank != 1) CHECK(r.get(r.out, 1)[0] == total(n, 1));
  ncclComm_t none;
  CHECK(ncclCommShrink(ranks[1].comm, excluded, 1, &none, nullptr, 0) == ncclInvalidArgument);
  excluded[0] = n;
  CHECK(ncclCommShrink(ranks[0].comm, excluded, 1, &none, nullptr, 0) == ncclInvalidArgument);
  CHECK(ncclCommShrink(ranks[0].comm, excluded, 0, &none, nullptr, 0) == ncclInvalidArgument);
  CHECK(ncclCommRevoke(ranks[0].comm, 1) == ncclInvalidArgument);
  return report();
}

// A process dies; the others are told, and go on without it.
static int shrink_processes(int n, int dead) {
  return in_processes(n, dead, [&](int i, ncclUniqueId id) {
    Rank r = make_rank(i, n, 0, id);
    check_sum(r, r.comm, total(n));
    if (i == dead) {
      usleep(200000);  // the others have had their answers, which rank 0 sends
      _exit(1);
    }
    ncclResult_t first = ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream);
    CHECK(first == ncclSuccess || first == ncclRemoteError);
    auto start = Clock::now();
    CHECK(await_error(r.comm) == ncclRemoteError);
    CHECK(seconds_since(start) < 3);
    ncclComm_t part;
    CHECK(ncclCommSplit(r.comm, 0, 0, &part, nullptr) == ncclRemoteError);
    go_on_without(r, dead, false, i % 2);
  });
}

// --------------------------------------------------------------- injection ---

static int inject(int n) {
  auto fail = CUDASIM_FIND(cudasim_nccl_fail);
  auto delay = CUDASIM_FIND(cudasim_nccl_delay);
  auto count = CUDASIM_FIND(cudasim_nccl_operation_count);
  if (!fail) return std::printf("no simulator here: nothing to test\n"), 0;
  auto ranks = world(n);
  auto reduce = [&](Rank& r) {
    return ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream);
  };
  auto all = [&] {
    NOK(ncclGroupStart());
    for (Rank& r : ranks) NOK(reduce(r));
    NOK(ncclGroupEnd());
    for (Rank& r : ranks) CHECK(r.get(r.out, 1)[0] == total(n));
  };
  all();
  CHECK(count(1) == 1);
  // in a group, the failed call spoils the group and nothing happens
  fail(1, 1, ncclSystemError, 0);
  NOK(ncclGroupStart());
  for (Rank& r : ranks) CHECK(reduce(r) == (r.rank == 1 ? ncclSystemError : ncclSuccess));
  CHECK(ncclGroupEnd() == ncclSystemError);
  all();
  fail(0, 1, ncclInternalError, 1);
  CHECK(reduce(ranks[0]) == ncclInternalError && reduce(ranks[0]) == ncclInternalError);
  fail(0, 0, 0, 0);
  delay(1, 1, 300, 0);
  auto start = Clock::now();
  all();
  CHECK(seconds_since(start) > 0.25);
  start = Clock::now();
  all();
  CHECK(seconds_since(start) < 0.25);
  return report();
}

// CUDASIM_NCCL_FAIL=1:2:6, CUDASIM_NCCL_DELAY=0:1:200
static int inject_environment(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  auto start = Clock::now();
  in_threads(n, [&](int i) {
    Rank r = make_rank(i, n, i, id);
    check_sum(r, r.comm, total(n));
    if (i == 1)
      CHECK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream) == ncclRemoteError);
    check_sum(r, r.comm, total(n));
  });
  CHECK(seconds_since(start) > 0.15);
  return report();
}

// CUDASIM_NCCL_KILL=1:2 with a short CUDASIM_NCCL_TIMEOUT: whoever waits is told in the end.
static int killed(int n) {
  auto ranks = world(n);
  for (int step = 0; step < 2; ++step) {
    NOK(ncclGroupStart());
    for (Rank& r : ranks) NOK(ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream));
    NOK(ncclGroupEnd());
    for (Rank& r : ranks) {
      OK(cudaSetDevice(r.device));
      CHECK(cudaStreamSynchronize(r.stream) == (step ? cudaErrorLaunchFailure : cudaSuccess));
      (void)cudaGetLastError();
    }
  }
  for (Rank& r : ranks) CHECK(await_error(r.comm) == ncclSystemError);
  return report();
}

// CUDASIM_NCCL_KILL=1:2:process
static int killed_process(int n) {
  return in_processes(n, 1, [&](int i, ncclUniqueId id) {
    Rank r = make_rank(i, n, 0, id);
    check_sum(r, r.comm, total(n));
    (void)ncclAllReduce(r.in, r.out, 1, ncclFloat, ncclSum, r.comm, r.stream);
    CHECK(await_error(r.comm) == ncclRemoteError);
    go_on_without(r, 1, false, false);
  });
}

// ----------------------------------------------------------------- capture ---

// Every rank sends to every other in one group, captured by its own thread, then replayed with
// other data: what a sharded training step does.
static int capture(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  in_threads(n, [&](int i) {
    Rank r = make_rank(i, n, i, id);
    const int each = Rank::n / n;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    OK(cudaStreamSynchronize(r.stream));
    OK(cudaStreamBeginCapture(r.stream, cudaStreamCaptureModeThreadLocal));
    scale<<<1, 64, 0, r.stream>>>(r.in, Rank::n, 2.f);
    NOK(ncclGroupStart());
    for (int peer = 0; peer < n; ++peer) {
      NOK(ncclSend(r.in + peer * each, each, ncclFloat, peer, r.comm, r.stream));
      NOK(ncclRecv(r.out + peer * each, each, ncclFloat, peer, r.comm, r.stream));
    }
    NOK(ncclGroupEnd());
    scale<<<1, 64, 0, r.stream>>>(r.out, Rank::n, 10.f);
    OK(cudaStreamEndCapture(r.stream, &graph));
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int step = 0; step < 4; ++step) {
      fill<<<1, 64, 0, r.stream>>>(r.in, Rank::n, 1000.f * i + 10000.f * step);
      OK(cudaGraphLaunch(exec, r.stream));
      if (step == 2) check_sum(r, r.comm, 2 * (total(n) + 20000.f * n));  // between replays
      auto h = r.get(r.out, n * each);
      bool good = true;
      if (step != 2)
        for (int peer = 0; peer < n; ++peer)
          for (int k = 0; k < each; ++k)
            good =
                good && h[peer * each + k] == 20 * (1000.f * peer + 10000.f * step + i * each + k);
      CHECK(good);
    }
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    NOK(ncclCommDestroy(r.comm));
  });
  return report();
}

int main(int argc, char** argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  int n = argc > 2 ? std::atoi(argv[2]) : 2;
  int dead = argc > 3 ? std::atoi(argv[3]) : 1;
  if (mode == "nonblocking-threads") return nonblocking_threads(n);
  if (mode == "nonblocking-processes") return nonblocking_processes(n);
  if (mode == "nonblocking-group") return nonblocking_group(n);
  if (mode == "scalable") return scalable(n);
  if (mode == "abort") return abort_pending(n);
  if (mode == "abort-init") return abort_init(n);
  if (mode == "shrink-threads") return shrink_threads(n, dead, false);
  if (mode == "revoke-threads") return shrink_threads(n, dead, true);
  if (mode == "shrink-group") return shrink_group(n);
  if (mode == "shrink-processes") return shrink_processes(n, dead);
  if (mode == "inject") return inject(n);
  if (mode == "inject-environment") return inject_environment(n);
  if (mode == "killed") return killed(n);
  if (mode == "killed-process") return killed_process(n);
  if (mode == "capture") return capture(n);
  return 2;
}
