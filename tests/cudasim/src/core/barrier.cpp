// SPDX-License-Identifier: Apache-2.0
// Block and cluster barriers, and lanes that exit: the barriers count who is alive.
#include "interpreter.h"
#include "memory.h"
#include "races.h"

namespace cudasim {

// op.sub 0: sync, 1: arrive, 2 to 4: reductions
bool Machine::barrier(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  if (m != w.mask) {
    push_fragment(w, pc + 1, w.mask & ~m, w.frame);
    w.frags[w.current].mask = m;
  }
  bool waits = op.sub != 1;
  if (waits) w.frags[w.current].state = Fragment::barrier;
  arrive(w, op, m);
  if (!waits) w.frags[w.current].pc = pc + 1;
  return true;
}

void Machine::arrive(Warp& w, const Op& op, uint32_t m) {
  int first = __builtin_ctz(m);
  uint32_t id = lanes<uint32_t>(w, op.a)[first];
  if (id >= 16)
    throw DeviceFault{kIllegalInstruction, "barrier " + std::to_string(id) + " does not exist",
                      first};
  uint32_t expected = op.b == kNoRef ? 0 : lanes<uint32_t>(w, op.b)[first];
  Barrier& b = w.block->barriers[id];
  if (b.arrived && b.expected != expected)
    throw DeviceFault{kLaunchFailure,
                      "barrier " + std::to_string(id) + " is used with different thread counts (" +
                          std::to_string(b.expected) + " and " + std::to_string(expected) + ")",
                      first};
  b.expected = expected;
  uint32_t n = uint32_t(__builtin_popcount(m));
  // a counted barrier counts whole warps, the last one of the block included
  b.arrived += expected && m == w.live ? 32 : n;
  if (op.sub >= 2) {
    uint32_t p = *lanes<uint32_t>(w, op.c);
    if (op.negate) p = ~p;
    p &= m;
    b.reduce_popc += uint32_t(__builtin_popcount(p));
    b.reduce_and &= p == m;
    b.reduce_or |= p != 0;
  }
  if (g_.races) race_barrier_arrive(w, b);
  w.frags[w.current].barrier_id = uint8_t(id);
  check_barrier(*w.block, id);
}

void Machine::check_barrier(Block& block, uint32_t id) {
  Barrier& b = block.barriers[id];
  if (b.arrived < (b.expected ? b.expected : std::max(1u, block.live))) return;
  g_.counters.barriers += 1;
  Barrier done = std::move(b);
  b = Barrier{};
  for (uint32_t i = 0; i < block.warp_count; ++i) {
    Warp& w = *block.warps[i];
    bool left = false;
    for (Fragment& f : w.frags) {
      if (f.state != Fragment::barrier || f.barrier_id != id) continue;
      write_reduction(w, f, done);
      f.state = Fragment::run;
      f.pc += 1;
      left = true;
    }
    if (left && g_.races) race_barrier_leave(w, done.race_vc);
  }
}

// What barrier.red gives each lane of a released fragment.
void Machine::write_reduction(Warp& w, const Fragment& f, const Barrier& done) {
  const Op& op = p_.code[f.pc];
  if (op.sub < 2) return;
  uint8_t* d = (op.d & 3) == 0 ? f.frame->regs + op.d : w.base[op.d & 3] + (op.d & ~3u);
  if (op.sub == 2) {
    for (uint32_t k = f.mask; k; k &= k - 1)
      reinterpret_cast<uint32_t*>(d)[__builtin_ctz(k)] = done.reduce_popc;
  } else {
    uint32_t& p = *reinterpret_cast<uint32_t*>(d);
    bool v = op.sub == 3 ? done.reduce_and : done.reduce_or;
    p = v ? p | f.mask : p & ~f.mask;
  }
}

// ------------------------------------------------------------------ clusters

bool Machine::cluster_released(const Warp& w, uint32_t m) const {
  bool released = true;
  for (uint32_t k = m; k; k &= k - 1)
    released &= w.block->cluster->phase > w.cluster_phase[size_t(__builtin_ctz(k))];
  return released;
}

// op.sub 0: arrive, 1: wait
bool Machine::cluster_barrier(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  if (!w.block->cluster) return false;
  Cluster& c = *w.block->cluster;
  if (op.sub == 0) {
    for (uint32_t k = m; k; k &= k - 1) w.cluster_phase[size_t(__builtin_ctz(k))] = c.phase;
    c.arrived += uint32_t(__builtin_popcount(m));
    check_cluster(c);
    return false;
  }
  w.frags[w.current].state = Fragment::run;
  if (cluster_released(w, m)) return false;
  if (m != w.mask) {
    push_fragment(w, pc + 1, w.mask & ~m, w.frame);
    w.frags[w.current].mask = m;
  }
  w.frags[w.current].state = Fragment::cluster;
  return true;
}

void Machine::check_cluster(Cluster& c) {
  uint32_t live = 0;
  for (Block* b : c.blocks) live += b->live;
  if (c.arrived && c.arrived >= live) {
    c.arrived = 0;
    c.phase += 1;
  }
}

// ---------------------------------------------------------------------- exit

void Machine::exit_lanes(Warp& w, uint32_t m, Frame* frame) {
  finish_lane_async(w, m);
  w.live &= ~m;
  w.block->live -= uint32_t(__builtin_popcount(m));
  for (Frame* f = frame; f; f = f->parent) f->live &= ~m;
  Block& b = *w.block;
  for (uint32_t id = 0; id < 16; ++id)
    if (b.barriers[id].arrived && !b.barriers[id].expected) check_barrier(b, id);
  if (b.live == 0) {
    drain_block_async(b);
    b.finished = true;
  }
  if (b.cluster) check_cluster(*b.cluster);
}

}  // namespace cudasim
