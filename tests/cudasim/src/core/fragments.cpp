// SPDX-License-Identifier: Apache-2.0
// Divergence: a warp is a set of fragments, each with its own pc and lanes.
#include "interpreter.h"

namespace cudasim {

void Machine::push_fragment(Warp& w, uint32_t pc, uint32_t mask, Frame* frame,
                            Fragment::State state) {
  Fragment f;
  f.pc = pc;
  f.mask = mask;
  f.frame = frame;
  f.state = state;
  w.frags.push_back(f);
}

// Lanes m leave the running fragment, which goes on after pc if it has others.
void Machine::leave_fragment(Warp& w, uint32_t m, uint32_t pc) {
  Fragment& f = w.frags[w.current];
  f.mask = w.mask & ~m;
  f.pc = pc + 1;
  if (f.mask) return;
  f = w.frags.back();
  w.frags.pop_back();
}

// Lanes of m whose membermask is complete; `w.frame` must be the fragment's.
uint32_t Machine::sync_ready(Warp& w, const Op& op, uint32_t m) {
  if (op.e == kNoRef) return m;
  const uint32_t* members = lanes<uint32_t>(w, op.e);
  uint32_t here = m;
  if (op.sub2 == 1 && m != w.live)
    for (const Fragment& f : w.frags)
      if (f.state == Fragment::sync && p_.code[f.pc].sub2 == 1 && p_.code[f.pc].kind == Kind::sync)
        here |= f.mask;
  uint32_t ready = 0;
  for (uint32_t k = m; k; k &= k - 1) {
    int i = __builtin_ctz(k);
    if (!(members[i] >> i & 1))
      throw DeviceFault{kIllegalInstruction,
                        "a lane executes a .sync instruction whose membermask does not name it", i};
    if (!(members[i] & w.live & ~here)) ready |= 1u << i;
  }
  return ready;
}

// bar.warp.sync: lanes of other fragments that met `ready` go on too.
void Machine::release_rendezvous(Warp& w, const Op& op, uint32_t ready) {
  const uint32_t* members = lanes<uint32_t>(w, op.e);
  uint32_t together = 0;
  for (uint32_t k = ready; k; k &= k - 1) together |= members[__builtin_ctz(k)];
  size_t n = w.frags.size();
  for (size_t i = 0; i < n; ++i) {
    Fragment& f = w.frags[i];
    if (i == w.current || f.state != Fragment::sync || p_.code[f.pc].sub2 != 1) continue;
    uint32_t go = f.mask & together;
    if (!go) continue;
    uint32_t stay = f.mask & ~go, pc = f.pc;
    Frame* frame = f.frame;
    f.mask = go;
    f.pc += 1;
    f.state = Fragment::run;
    if (stay) push_fragment(w, pc, stay, frame, Fragment::sync);
  }
}

void Machine::merge_fragments(Warp& w) {
  auto& fs = w.frags;
  for (size_t i = 0; i < fs.size(); ++i)
    for (size_t j = i + 1; j < fs.size();) {
      Fragment &a = fs[i], &b = fs[j];
      bool movable = (a.state == Fragment::run || a.state == Fragment::sync) &&
                     (b.state == Fragment::run || b.state == Fragment::sync);
      bool waiting =
          a.state == b.state && a.state == Fragment::barrier && a.barrier_id == b.barrier_id;
      if (a.pc == b.pc && a.frame == b.frame && (movable || waiting)) {
        a.mask |= b.mask;
        a.penalty = std::min(a.penalty, b.penalty);
        a.spins = std::max(a.spins, b.spins);
        if (movable) a.state = Fragment::run;
        fs[j] = fs.back();
        fs.pop_back();
      } else
        ++j;
    }
}

bool Machine::runnable(Warp& w, const Fragment& f) {
  switch (f.state) {
    case Fragment::run: return true;
    case Fragment::barrier: return false;
    case Fragment::cluster: return cluster_released(w, f.mask);
    case Fragment::sync:
      w.base[0] = f.frame->regs;
      return sync_ready(w, p_.code[f.pc], f.mask) != 0;
  }
  return false;
}

// Picks the fragment to run, the deepest call and lowest pc first, and the pc where another one
// waits to merge: false when none can run.
bool Machine::choose(Warp& w, uint32_t& stop) {
  auto& fs = w.frags;
  merge_fragments(w);
  size_t best = ~size_t(0);
  for (size_t i = 0; i < fs.size(); ++i) {
    Fragment& f = fs[i];
    if (!runnable(w, f)) continue;
    auto key = [](const Fragment& x) { return std::make_tuple(x.penalty, ~x.frame->depth, x.pc); };
    if (best == ~size_t(0) || key(f) < key(fs[best])) best = i;
  }
  if (best == ~size_t(0)) return false;
  Fragment& f = fs[best];
  w.current = best;
  w.frame = f.frame;
  w.base[0] = f.frame->regs;
  w.mask = f.mask;
  stop = ~0u;
  if (fs.size() > 1) {
    for (size_t i = 0; i < fs.size(); ++i)
      if (i != best && fs[i].frame == f.frame && fs[i].pc > f.pc) stop = std::min(stop, fs[i].pc);
  }
  return true;
}

// The running fragment spins: the others come first from now on.
void Machine::give_way(Warp& w) {
  uint32_t most = 0;
  for (const Fragment& f : w.frags) most = std::max(most, f.penalty);
  w.frags[w.current].penalty = most + 1;
  w.frags[w.current].spins = 0;
  w.spinny = false;
}

}  // namespace cudasim
