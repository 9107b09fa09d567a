// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "../runtime/cudasim.h"
#include "../runtime/trigger.h"

namespace cudasim::nccl {
namespace {

struct RankFaults {
  uint64_t count = 0;
  Trigger fail, kill, delay;
  ncclResult_t result = ncclInternalError;
  int delay_ms = 0;
  bool kill_process = false;
};

struct State {
  std::mutex mutex;
  std::map<int, RankFaults> ranks;

  State() {
    read("CUDASIM_NCCL_FAIL", [](RankFaults& r, const Trigger& t, const std::string& more) {
      r.fail = t;
      if (!more.empty()) r.result = static_cast<ncclResult_t>(std::atoi(more.c_str()));
      return r.result > ncclSuccess && r.result < ncclNumResults;
    });
    read("CUDASIM_NCCL_KILL", [](RankFaults& r, const Trigger& t, const std::string& more) {
      r.kill = {t.at, true};
      r.kill_process = more == "process";
      return more.empty() || r.kill_process;
    });
    read("CUDASIM_NCCL_DELAY", [](RankFaults& r, const Trigger& t, const std::string& more) {
      r.delay = t;
      r.delay_ms = std::atoi(more.c_str());
      return r.delay_ms > 0;
    });
  }

  // "rank:k[+][:more]"
  template <class F>
  void read(const char* setting, F&& accept) {
    const char* text = std::getenv(setting);
    if (!text || !*text) return;
    auto fields = split_fields(text);
    Trigger trigger;
    if (fields.size() < 2 || fields.size() > 3 || !parse_trigger(fields[1], trigger) ||
        !accept(ranks[std::atoi(fields[0].c_str())], trigger, fields.size() > 2 ? fields[2] : "")) {
      std::fprintf(stderr, "[cudasim] %s=%s is not a value this setting takes\n", setting, text);
      std::exit(2);
    }
  }
};

// Never destroyed: operations may come from exit handlers.
State& state() {
  static auto* s = new State;
  return *s;
}

// Changes a rank's plan, whose k counts from now.
template <class F>
void plan(int rank, unsigned long long k, bool persistent, F&& change) {
  std::lock_guard lock(state().mutex);
  RankFaults& r = state().ranks[rank];
  change(r, Trigger{k ? r.count + k : 0, persistent});
}

}  // namespace

Injection count_operation(int rank) {
  std::lock_guard lock(state().mutex);
  RankFaults& r = state().ranks[rank];
  uint64_t event = ++r.count;
  Injection out;
  if (r.kill.hits(event)) {
    if (r.kill_process) ::kill(::getpid(), SIGKILL);
    out.dead = true;
  }
  if (r.fail.hits(event)) out.result = r.result;
  if (r.delay.hits(event)) out.delay_ms = r.delay_ms;
  if (out.result != ncclSuccess || out.delay_ms || (out.dead && event == r.kill.at))
    std::fprintf(stderr, "[cudasim] injected: nccl operation #%llu of rank %d %s\n",
                 static_cast<unsigned long long>(event), rank,
                 out.dead     ? "and all later ones never come"
                 : out.result ? "fails"
                              : "comes late");
  return out;
}

}  // namespace cudasim::nccl

using namespace cudasim::nccl;

extern "C" {

unsigned long long cudasim_nccl_operation_count(int rank) {
  std::lock_guard lock(state().mutex);
  return state().ranks[rank].count;
}
void cudasim_nccl_fail(int rank, unsigned long long k, int result, int persistent) {
  plan(rank, k, persistent != 0, [&](RankFaults& r, const cudasim::Trigger& t) {
    r.fail = t;
    r.result = static_cast<ncclResult_t>(result);
  });
}
void cudasim_nccl_kill(int rank, unsigned long long k) {
  plan(rank, k, true, [](RankFaults& r, const cudasim::Trigger& t) {
    r.kill = t;
    r.kill_process = false;
  });
}
void cudasim_nccl_delay(int rank, unsigned long long k, int milliseconds, int persistent) {
  plan(rank, k, persistent != 0, [&](RankFaults& r, const cudasim::Trigger& t) {
    r.delay = t;
    r.delay_ms = milliseconds;
  });
}

}  // extern "C"
