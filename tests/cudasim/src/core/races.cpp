// SPDX-License-Identifier: Apache-2.0
#include "races.h"

namespace cudasim {

// --------------------------------------------------------- races in shared memory

void race_join(std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) to[i] = std::max(to[i], from[i]);
}

// Everything before is published: later accesses of this warp get a new time.
void race_warp_sync(Warp& w) {
  w.race_clock += 1;
  if (w.race_vc.size() < w.block->warp_count) w.race_vc.resize(w.block->warp_count);
  w.race_vc[w.id] = w.race_clock;
}

void race_barrier_arrive(Warp& w, Barrier& b) {
  race_warp_sync(w);
  race_join(b.race_vc, w.race_vc);
  race_warp_sync(w);
}

void race_barrier_leave(Warp& w, const std::vector<uint32_t>& vc) { race_join(w.race_vc, vc); }

void race_shared(Warp& w, Access kind, bool sync, const uint64_t* address, uint32_t mask,
                 uint32_t bytes) {
  Block& b = *w.block;
  if (w.race_vc.size() < b.warp_count) w.race_vc.resize(b.warp_count);
  w.race_vc[w.id] = w.race_clock;
  if (sync) {  // orders this warp after and before every other synchronising access of the block
    race_join(w.race_vc, b.race_sync_vc);
    if (kind != Access::load) {
      race_join(b.race_sync_vc, w.race_vc);
      race_warp_sync(w);
    }
    return;
  }
  if (b.shadow.size() < w.grid->shared_bytes) b.shadow.resize(w.grid->shared_bytes);
  auto ordered = [&](uint8_t warp, uint8_t lane, uint32_t clock, int my_lane) {
    if (warp == w.id) return lane == my_lane || clock < w.race_clock;
    return clock <
           w.race_vc[warp];  // the other warp has synchronised since, and this one after that
  };
  // First every check against what came before, then the recording, so that the
  // lanes of one instruction do not race with each other on reads.
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    if (address[i] + bytes > b.shadow.size()) continue;  // another block of the cluster
    for (uint32_t k = 0; k < bytes; ++k) {
      ShadowByte& s = b.shadow[address[i] + k];
      const char* hazard = nullptr;
      int other_warp = 0, other_lane = 0;
      if (s.write_clock && !ordered(s.write_warp, s.write_lane, s.write_clock, i)) {
        hazard = kind == Access::load ? "read after write" : "write after write";
        other_warp = s.write_warp, other_lane = s.write_lane;
      } else if (kind == Access::store && s.read_clock &&
                 !ordered(s.read_warp, s.read_lane, s.read_clock, i)) {
        hazard = "write after read";
        other_warp = s.read_warp, other_lane = s.read_lane;
      }
      if (hazard) {
        w.grid->finding(w, i, "racecheck",
                        std::string(hazard) + " on shared byte " + std::to_string(address[i] + k) +
                            " with warp " + std::to_string(other_warp) + " lane " +
                            std::to_string(other_lane) + ", no barrier between");
        break;
      }
    }
  }
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    if (address[i] + bytes > b.shadow.size()) continue;
    for (uint32_t k = 0; k < bytes; ++k) {
      ShadowByte& s = b.shadow[address[i] + k];
      if (kind == Access::load) {
        s.read_clock = w.race_clock, s.read_warp = uint8_t(w.id), s.read_lane = uint8_t(i);
      } else {
        s.write_clock = w.race_clock, s.write_warp = uint8_t(w.id), s.write_lane = uint8_t(i);
        s.read_clock = 0;
      }
    }
  }
}

// --------------------------------------------------------- races in global memory

namespace {

// Whether a release after `time` came before what was acquired last.
bool released_since(const std::vector<uint64_t>& releases, uint64_t time, uint64_t acquired) {
  auto it = std::upper_bound(releases.begin(), releases.end(), time);
  return it != releases.end() && *it <= acquired;
}

}  // namespace

// A barrier orders the warps of a block; otherwise what orders two accesses is a synchronising
// access after the first and one before the second: by any warp of the two blocks, as barriers
// are taken to spread it there, or inside one block by the two warps themselves.
bool GlobalRaces::ordered(const Touch& before, Warp& after) {
  uint32_t block = before.block - 1, me = uint32_t(after.block->index);
  if (block != me) return released_since(released_[block], before.time, acquired_[me]);
  if (before.warp == after.id) return true;
  if (before.warp < after.race_vc.size() && before.warp_clock < after.race_vc[before.warp])
    return true;
  return released_since(sync_of(me, before.warp).released, before.time,
                        sync_of(me, after.id).acquired);
}

void GlobalRaces::synchronise(Warp& w, Access kind) {
  uint32_t me = uint32_t(w.block->index);
  WarpSync& mine = sync_of(me, w.id);
  ++clock_;
  if (kind != Access::load) {
    released_[me].push_back(clock_);
    mine.released.push_back(clock_);
  }
  if (kind != Access::store) acquired_[me] = mine.acquired = clock_;
}

void GlobalRaces::access(Warp& w, Access kind, bool sync, const uint64_t* address, uint32_t mask,
                         uint32_t bytes) {
  if (sync) return synchronise(w, kind);
  Touch now{uint32_t(w.block->index) + 1, w.id, w.race_clock, clock_};
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    for (uint64_t a = address[i]; a < address[i] + bytes; ++a) {
      auto& page = pages_[a >> 12];
      if (page.empty()) page.resize(4096);
      Cell& c = page[a & 4095];
      const char* hazard = nullptr;
      const Touch* other = nullptr;
      if (c.write.block && !ordered(c.write, w)) {
        hazard = kind == Access::load ? "read of a byte written by" : "write of a byte written by";
        other = &c.write;
      } else if (kind == Access::store && c.read.block && !ordered(c.read, w)) {
        hazard = "write of a byte read by";
        other = &c.read;
      }
      if (hazard) {
        bool inside = other->block == now.block;
        w.grid->finding(w, i, "racecheck",
                        "global " + hex(a) + ": " + hazard +
                            (inside ? " warp " + std::to_string(other->warp) + " of the block"
                                    : " block " + std::to_string(other->block - 1)) +
                            " in the same launch without synchronisation; " +
                            w.grid->memory->describe(a));
      }
      if (kind == Access::load)
        c.read = now;
      else
        c.write = now, c.read = {};
    }
  }
}

}  // namespace cudasim
