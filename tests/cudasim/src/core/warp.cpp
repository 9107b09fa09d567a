// SPDX-License-Identifier: Apache-2.0
// The instruction loop of a warp.
#include "interpreter.h"
#include "memory.h"

namespace cudasim {

uint64_t Machine::run_warp(Warp& w, uint64_t slice) {
  uint32_t stop;
  if (!choose(w, stop)) return 0;
  const Op* const code = p_.code.data();
  uint64_t executed = 0, counted = 0, threads = 0;
  uint32_t pc = w.frags[w.current].pc, mask = w.mask;
  uint64_t width = uint64_t(__builtin_popcount(mask));

  // Runs the fragment that comes next; false when all wait.
  auto reschedule = [&] {
    if (!choose(w, stop)) return false;
    pc = w.frags[w.current].pc;
    mask = w.mask;
    width = uint64_t(__builtin_popcount(mask));
    return true;
  };

  while (true) {
    if (__builtin_expect(pc >= stop, 0)) {
      w.frags[w.current].pc = pc;
      if (!reschedule()) break;
    }
    if (executed >= slice) {
      w.frags[w.current].pc = pc;
      break;
    }
    const Op& op = code[pc];
    ++executed;
    counted += op.counted;
    threads += op.counted ? width : 0;
    g_.classes[size_t(op.cls)] += op.counted;
    uint32_t m = mask;
    if (op.guard != kNoRef) {
      uint32_t p = *lanes<uint32_t>(w, op.guard);
      m &= op.guard_negated ? ~p : p;
    }
    if (op.kind == Kind::plain) {
      if (m) {
        w.op = &op;
        op.fn(w, op, m);
      }
      ++pc;
      continue;
    }
    if (op.kind == Kind::branch) {
      g_.counters.branches += 1;
      if (m == 0) {
        ++pc;
      } else if (m == mask && (op.target > pc || w.frags.size() == 1)) {
        pc = op.target;
      } else if (branch(w, op, m, pc) && !reschedule()) {
        break;
      }
      continue;
    }
    if (op.kind == Kind::yield) {
      if (m) {
        w.op = &op;
        op.fn(w, op, m);
      }
      w.frags[w.current].pc = pc + 1;
      if (w.frags.size() > 1 && w.spinny) give_way(w);
      break;
    }
    if (m == 0) {
      ++pc;
      continue;
    }
    w.op = &op;
    w.frags[w.current].pc = pc;
    if (!control(w, op, m, pc))
      ++pc;
    else if (!reschedule())
      break;
  }
  count(w, counted, threads);
  return executed;
}

void Machine::count(Warp& w, uint64_t warp_instructions, uint64_t thread_instructions) {
  Counters& c = g_.counters;
  c.warp_instructions += warp_instructions;
  c.thread_instructions += thread_instructions;
  w.executed += warp_instructions;
  w.block->executed += warp_instructions;
  c.max_warp_instructions_per_warp = std::max(c.max_warp_instructions_per_warp, w.executed);
  c.max_block_warp_instructions = std::max(c.max_block_warp_instructions, w.block->executed);
}

// Instructions that may end or stop the running fragment; at least one lane executes.
bool Machine::control(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  switch (op.kind) {
    case Kind::brx: return branch_indexed(w, op, m, pc);
    case Kind::sync: return synchronise(w, op, m, pc);
    case Kind::barrier: return barrier(w, op, m, pc);
    case Kind::cluster_barrier: return cluster_barrier(w, op, m, pc);
    case Kind::exit: return exit(w, m, pc);
    case Kind::call: return call(w, op, m, pc);
    case Kind::ret: return ret(w, m, pc);
    case Kind::trap: throw DeviceFault{kLaunchFailure, "trap instruction", __builtin_ctz(m)};
    default:
      throw DeviceFault{kNotSupported, "unsupported PTX: " + p_.notes[size_t(op.imm)],
                        __builtin_ctz(m)};
  }
}

// A branch that splits the fragment, or goes back while other fragments wait. One that keeps
// going back may wait for them: it gives way after a while, sooner if it reads memory to spin.
bool Machine::branch(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  bool backward = op.target <= pc;
  Fragment& f = w.frags[w.current];
  f.pc = op.target;
  if (m != w.mask) {
    g_.counters.divergent_branches += 1;
    uint32_t penalty = f.penalty, rest = w.mask & ~m;
    f.mask = m;
    f.spins += backward;
    push_fragment(w, pc + 1, rest, w.frame);
    w.frags.back().penalty = penalty;
    return true;
  }
  if (++f.spins > (w.spinny ? 64u : 20000u)) give_way(w);
  return true;
}

bool Machine::branch_indexed(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  g_.counters.branches += 1;
  const auto& table = p_.tables[op.target];
  const uint32_t* index = lanes<uint32_t>(w, op.a);
  uint32_t rest = w.mask & ~m, left = m;
  bool first = true;
  if (rest) {
    push_fragment(w, pc + 1, rest, w.frame);
    g_.counters.divergent_branches += 1;
  }
  while (left) {
    uint32_t v = index[__builtin_ctz(left)], same = 0;
    if (v >= table.size())
      throw DeviceFault{kInvalidPc, "brx.idx index " + std::to_string(v) + " is outside the table",
                        __builtin_ctz(left)};
    for (uint32_t k = left; k; k &= k - 1)
      same |= uint32_t(index[__builtin_ctz(k)] == v) << __builtin_ctz(k);
    left &= ~same;
    if (first) {
      w.frags[w.current].pc = table[v];
      w.frags[w.current].mask = same;
      if (left) g_.counters.divergent_branches += 1;
      first = false;
    } else
      push_fragment(w, table[v], same, w.frame);
  }
  return true;
}

// A .sync instruction: lanes whose membermask is complete go on, the others wait.
bool Machine::synchronise(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  bool full =
      m == ~0u && m == w.live && m == w.mask && op.e != kNoRef && *lanes<uint32_t>(w, op.e) == ~0u;
  uint32_t ready = full ? m : sync_ready(w, op, m);
  if (ready == m && m == w.mask && !(op.sub2 == 1 && w.frags.size() > 1)) {
    op.fn(w, op, m);
    return false;
  }
  uint32_t skip = w.mask & ~m, wait = m & ~ready;
  if (ready) {
    if (op.sub2 == 1) release_rendezvous(w, op, ready);
    op.fn(w, op, ready);
  }
  Fragment& f = w.frags[w.current];
  uint32_t go = skip | ready;
  if (go) {
    f.mask = go;
    f.pc = pc + 1;
    f.state = Fragment::run;
    if (wait) push_fragment(w, pc, wait, w.frame, Fragment::sync);
  } else {
    f.state = Fragment::sync;
  }
  return true;
}

bool Machine::exit(Warp& w, uint32_t m, uint32_t pc) {
  leave_fragment(w, m, pc);
  exit_lanes(w, m, w.frame);
  return true;
}

}  // namespace cudasim
