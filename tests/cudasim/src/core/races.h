// SPDX-License-Identifier: Apache-2.0
// Race detection: shared memory inside a block, global memory between blocks and between the warps
// of one.
#pragma once

#include "machine.h"

namespace cudasim {

class GlobalRaces {
 public:
  explicit GlobalRaces(uint64_t blocks) : acquired_(blocks, 0), released_(blocks) {}
  void access(Warp& w, Access kind, bool sync, const uint64_t* address, uint32_t mask,
              uint32_t bytes);

 private:
  struct Touch {         // the latest access of a kind to a byte
    uint32_t block = 0;  // its index + 1; 0: none
    uint32_t warp = 0, warp_clock = 0;
    uint64_t time = 0;
  };
  struct Cell {
    Touch write, read;
  };
  // Times of one warp's synchronising accesses, to global memory.
  struct WarpSync {
    std::vector<uint64_t> released;
    uint64_t acquired = 0;
  };
  void synchronise(Warp& w, Access kind);
  WarpSync& sync_of(uint32_t block, uint32_t warp) { return warps_[uint64_t{block} << 32 | warp]; }
  bool ordered(const Touch& before, Warp& after);
  uint64_t clock_ = 1;
  std::unordered_map<uint64_t, WarpSync> warps_;
  std::vector<uint64_t> acquired_;
  std::vector<std::vector<uint64_t>> released_;
  std::unordered_map<uint64_t, std::vector<Cell>> pages_;  // 4 KiB of bytes each
};

void race_shared(Warp& w, Access kind, bool sync, const uint64_t* address, uint32_t mask,
                 uint32_t bytes);
void race_warp_sync(Warp& w);
void race_barrier_arrive(Warp& w, Barrier& b);
void race_barrier_leave(Warp& w, const std::vector<uint32_t>& vc);
void race_join(std::vector<uint32_t>& to, const std::vector<uint32_t>& from);

}  // namespace cudasim
