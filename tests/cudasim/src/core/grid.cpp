// SPDX-License-Identifier: Apache-2.0
// Which blocks are resident, and in which order their warps run.
#include "interpreter.h"
#include "memory.h"

namespace cudasim {

void Machine::run_grid() {
  g_.budget = g_.options->max_warp_instructions;
  const uint64_t blocks = g_.config->grid.count();
  while (next_ < blocks || !resident_.empty()) {
    admit_blocks();
    uint64_t progress = run_resident();
    if (progress == 0) make_progress();
    if (progress > g_.budget) hung();
    g_.budget -= progress;
    retire_blocks();
  }
}

// A few blocks at a time, in order, so that a block may wait for an earlier one; a cluster as a
// whole; every block of a cooperative launch.
void Machine::admit_blocks() {
  const LaunchConfig& c = *g_.config;
  const uint64_t blocks = c.grid.count(), cluster = c.cluster.count();
  const uint64_t few = g_.options->schedule == Schedule::kRandom ? 8 : 4;
  const uint64_t want = c.cooperative ? blocks : std::max(cluster, few);
  while (next_ < blocks && (resident_.empty() || resident_.size() + cluster <= want)) {
    if (cluster == 1)
      start_block(*take_block(), next_, nullptr, 0);
    else
      admit_cluster();
    next_ += cluster;
  }
}

void Machine::admit_cluster() {
  const LaunchConfig& c = *g_.config;
  const Dim3 &n = c.cluster, clusters = {c.grid.x / n.x, c.grid.y / n.y, c.grid.z / n.z};
  clusters_.push_back(std::make_unique<Cluster>());
  Cluster* cluster = clusters_.back().get();
  uint64_t k = next_ / n.count();
  uint64_t x0 = k % clusters.x * n.x, y0 = k / clusters.x % clusters.y * n.y,
           z0 = k / clusters.x / clusters.y * n.z;
  for (uint32_t r = 0; r < n.count(); ++r) {
    uint64_t x = x0 + r % n.x, y = y0 + r / n.x % n.y, z = z0 + r / n.x / n.y;
    Block* b = take_block();
    cluster->blocks.push_back(b);
    start_block(*b, (z * c.grid.y + y) * c.grid.x + x, cluster, r);
  }
}

Block* Machine::take_block() {
  if (idle_.empty()) {
    pool_.push_back(std::make_unique<Block>());
    idle_.push_back(pool_.back().get());
  }
  Block* b = idle_.back();
  idle_.pop_back();
  resident_.push_back(b);
  return b;
}

// One time slice for every warp; how many instructions that were.
uint64_t Machine::run_resident() {
  if (g_.options->schedule == Schedule::kRandom)
    std::shuffle(resident_.begin(), resident_.end(), g_.rng);
  uint64_t progress = 0;
  for (Block* b : resident_) progress += run_block(*b);
  return progress;
}

uint64_t Machine::run_block(Block& b) {
  const bool random = g_.options->schedule == Schedule::kRandom;
  std::array<uint32_t, 32> order;
  for (uint32_t i = 0; i < b.warp_count; ++i) order[i] = i;
  if (random) std::shuffle(order.begin(), order.begin() + b.warp_count, g_.rng);
  uint64_t progress = 0;
  for (uint32_t i = 0; i < b.warp_count; ++i) {
    Warp& w = *b.warps[order[i]];
    if (!w.live) continue;
    uint64_t slice = random ? 1 + g_.rng() % 300 : 2048;
    try {
      progress += run_warp(w, slice);
    } catch (DeviceFault& f) {
      g_.error_context = describe_thread(w, f.lane);
      throw;
    }
  }
  return progress;
}

// No warp could run: asynchronous copies may be what they wait for.
void Machine::make_progress() {
  bool any = false;
  for (Block* b : resident_) {
    any |= !b->pending_bulk.empty() || b->finished;
    drain_block_async(*b);
  }
  if (!any) deadlock();
}

// The blocks of a cluster stay until the last one has finished.
void Machine::retire_blocks() {
  std::erase_if(resident_, [&](Block* b) {
    bool gone = b->finished;
    if (gone && b->cluster)
      for (Block* o : b->cluster->blocks) gone &= o->finished;
    if (gone) idle_.push_back(b);
    return gone;
  });
}

void Machine::deadlock() {
  std::string s = "deadlock: nothing can run;";
  int shown = 0;
  for (Block* b : resident_)
    for (uint32_t i = 0; i < b->warp_count && shown < 8; ++i)
      for (const Fragment& f : b->warps[i]->frags) {
        if (++shown > 8) break;
        Warp& w = *b->warps[i];
        w.op = &p_.code[f.pc];
        char t[64];
        snprintf(t, sizeof t, " lanes %08x wait at ", f.mask);
        s += "\n    " + describe_thread(w, -1) + t +
             (f.state == Fragment::barrier   ? "barrier " + std::to_string(f.barrier_id)
              : f.state == Fragment::cluster ? "the cluster barrier"
                                             : "their membermask");
      }
  throw DeviceFault{kLaunchTimeout, s};
}

void Machine::hung() {
  std::string where;
  for (Block* b : resident_)
    for (uint32_t i = 0; i < b->warp_count && where.empty(); ++i) {
      Warp& w = *b->warps[i];
      if (!w.live || w.frags.empty()) continue;
      w.op = &p_.code[w.frags[0].pc];
      where = describe_thread(w, -1);
    }
  throw DeviceFault{kLaunchTimeout,
                    "the launch passed " + std::to_string(g_.options->max_warp_instructions) +
                        " warp instructions: taken for hung; still running: " + where};
}

}  // namespace cudasim
