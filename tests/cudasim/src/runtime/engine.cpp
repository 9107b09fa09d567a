// SPDX-License-Identifier: Apache-2.0
// Runs stream operations. Nothing runs until somebody waits for it (lazy), and
// then only what that wait needs, newest operation first among those whose
// order the program left open.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <utility>

#include "runtime.h"

namespace cudasim::engine {
namespace {

constexpr size_t kMaxPending = 16384;

std::chrono::steady_clock::time_point last_touch = std::chrono::steady_clock::now();
std::once_flag helper_once;

bool blocked(const Op& op) {
  if (op.exclusive && device(op.device).busy) return true;
  return op.ready && !op.ready();
}

// The next operation to run: the newest, or any when the schedule is random.
Op* choose() {
  auto& list = runtime().runnable;
  std::vector<Op*> open;
  for (Op* op : list)
    if (!blocked(*op)) open.push_back(op);
  if (open.empty()) return nullptr;
  if (settings().core.schedule == Schedule::kRandom) {
    static std::mt19937_64 generator(settings().core.seed);
    std::sort(open.begin(), open.end(), [](Op* a, Op* b) { return a->sequence < b->sequence; });
    return open[generator() % open.size()];
  }
  return *std::max_element(open.begin(), open.end(),
                           [](Op* a, Op* b) { return a->sequence < b->sequence; });
}

void make_runnable(Op& op) {
  runtime().runnable.push_back(&op);
  runtime().changed.notify_all();
}

void finish(Op& op) {
  op.running = false;
  op.done = true;
  op.done_ms = now_ms();
  if (op.on_finish) op.on_finish();
  for (Op* next : op.then)
    if (--next->waiting == 0 && next->wanted) make_runnable(*next);
  op.then.clear();
  auto dependencies = std::move(op.after);  // may hold the last reference to finished ones
  op.after.clear();
  op.run = nullptr;
  op.ready = nullptr;
  op.on_wanted = op.on_skip = nullptr;
  op.on_enqueued = nullptr;
  op.on_finish = nullptr;
  runtime().pending.erase(op.sequence);  // may destroy op
  runtime().changed.notify_all();
}

void execute(Lock& lock, Op& op) {
  Runtime& r = runtime();
  OpPtr keep = r.pending.at(op.sequence);
  r.runnable.erase(std::find(r.runnable.begin(), r.runnable.end(), &op));
  op.running = true;
  Device& d = device(op.device);
  if (d.sticky != cudaSuccess) {
    if (op.on_skip) op.on_skip();
  } else if (op.run) {
    if (op.exclusive) d.busy = true;
    if (settings().log) log_line("run   device %d: %s", op.device, op.what.c_str());
    auto run = op.run;
    ++r.running;
    lock.unlock();
    cudaError_t error = run();
    lock.lock();
    --r.running;
    if (op.exclusive) d.busy = false;
    if (error != cudaSuccess && op.recoverable && op.stream_error)
      *op.stream_error = error;
    else if (error != cudaSuccess)
      fail(op.device, error);
  }
  finish(op);
}

bool device_waited_for(int index) {
  for (auto& [sequence, op] : runtime().pending)
    if (op->device == index && op->wanted) return true;
  return false;
}

// Runs wanted work that no waiting thread takes (other devices, other
// processes' collectives), and starts pending work after a long silence so
// that a host loop which spins on mapped memory sees it happen.
void helper() {
  Runtime& r = runtime();
  Lock lock(r.mutex);
  for (;;) {
    r.changed.wait_for(lock, std::chrono::milliseconds(r.pending.empty() ? 1000 : 20));
    if (r.stopping) continue;
    if (settings().idle_ms > 0 && !r.pending.empty() &&
        std::chrono::steady_clock::now() - last_touch >
            std::chrono::milliseconds(settings().idle_ms)) {
      // While somebody waits, only devices that stand still start by themselves:
      // the kernel that takes so long may be waiting for one of theirs.
      std::vector<OpPtr> all;
      for (auto& [sequence, op] : r.pending)
        if (r.waiters == 0 || !device_waited_for(op->device)) all.push_back(op);
      for (auto& op : all) want(*op);
    }
    while (!r.stopping && step(lock)) {
    }
  }
}

void start_helper() {
  // One for each device: kernels of different devices may wait for each other.
  std::call_once(helper_once, [] {
    for (int i = 0; i < std::clamp(settings().devices, 1, 16); ++i) std::thread(helper).detach();
  });
}

}  // namespace

void touch() { last_touch = std::chrono::steady_clock::now(); }

double now_ms() {
  // Strictly increasing by at least the resolution CUDA promises for events.
  static double last = 0;
  static const auto start = std::chrono::steady_clock::now();
  double now =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  last = std::max(now, last + 0.0005);
  return last;
}

void fail(int index, cudaError_t error) {
  Device& d = device(index);
  if (d.sticky == cudaSuccess) d.sticky = error;
  if (settings().fatal) {
    std::fflush(nullptr);
    std::fprintf(stderr, "[cudasim] CUDASIM_FATAL: stopping on %s\n", cudaGetErrorName(error));
    std::abort();
  }
}

cudaError_t outcome(int index, const StreamError& stream) {
  if (cudaError_t sticky = device(index).sticky; sticky != cudaSuccess) return sticky;
  return stream ? std::exchange(*stream, cudaSuccess) : cudaSuccess;
}

void add(Lock& lock, OpPtr op, const std::vector<OpPtr>& after) {
  Runtime& r = runtime();
  op->sequence = r.next_sequence++;
  for (auto& dependency : after) {
    if (!dependency || dependency->done) continue;
    op->after.push_back(dependency);
    dependency->then.push_back(op.get());
    ++op->waiting;
  }
  r.pending[op->sequence] = op;
  bool now = op->on_enqueued && op->on_enqueued();
  if (now || !settings().lazy) want(*op);
  if (!settings().lazy) {
    while (step(lock)) {
    }
  } else if (r.pending.size() > kMaxPending) {
    // A device's queue is finite too: the call waits for the oldest operation.
    wait(lock, r.pending.begin()->second);
  }
  start_helper();
}

void enqueue(Lock& lock, Stream& s, OpPtr op, const std::vector<OpPtr>& extra) {
  std::vector<OpPtr> after = extra;
  after.push_back(s.last);
  Device& d = device(s.device);
  // The legacy default stream waits for, and holds up, every blocking stream.
  if (s.legacy) {
    for (Stream* other : d.streams)
      if (!(other->flags & cudaStreamNonBlocking)) after.push_back(other->last);
  } else if (!(s.flags & cudaStreamNonBlocking)) {
    after.push_back(d.legacy.last);
  }
  if (settings().log)
    log_line("queue stream %llu: %s", static_cast<unsigned long long>(s.id), op->what.c_str());
  s.last = op;
  s.queries = 0;
  op->stream_error = s.error;
  add(lock, std::move(op), after);
}

void want(Op& first) {
  std::vector<Op*> todo{&first};
  while (!todo.empty()) {
    Op* op = todo.back();
    todo.pop_back();
    if (op->done || op->wanted) continue;
    op->wanted = true;
    if (op->waiting == 0) make_runnable(*op);
    for (auto& dependency : op->after) todo.push_back(dependency.get());
    if (op->on_wanted) op->on_wanted();
  }
}

bool step(Lock& lock) {
  Op* op = choose();
  if (op == nullptr) return false;
  execute(lock, *op);
  return true;
}

void wait(Lock& lock, const OpPtr& op) {
  if (!op) return;
  OpPtr keep = op;
  want(*keep);
  ++runtime().waiters;
  while (!keep->done) {
    if (step(lock)) continue;
    runtime().changed.wait_for(lock, std::chrono::milliseconds(20));
  }
  --runtime().waiters;
  touch();
}

void wait_device(Lock& lock, int index) {
  std::vector<OpPtr> all;
  for (auto& [sequence, op] : runtime().pending)
    if (op->device == index) all.push_back(op);
  // Marked together, so that their order stays open; then waited for.
  for (auto& op : all) want(*op);
  for (auto& op : all) wait(lock, op);
}

bool poll(Lock& lock, const OpPtr& op, int& queries) {
  if (!op || op->done) return true;
  OpPtr keep = op;
  if (++queries > 2 || !settings().lazy) {
    want(*keep);
    if (!step(lock)) runtime().changed.wait_for(lock, std::chrono::milliseconds(1));
  }
  if (keep->done) queries = 0;
  return keep->done;
}

}  // namespace cudasim::engine
