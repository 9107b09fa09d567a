// SPDX-License-Identifier: Apache-2.0
// Traffic counters and the models of the caches.
#pragma once

#include "machine.h"

namespace cudasim {

// Lines of four sectors, least recently used goes first.
class Cache {
 public:
  struct Line {
    uint64_t tag = ~0ull;
    uint8_t valid = 0, dirty = 0;  // by sector
    uint32_t stamp = 0;
  };
  Cache(uint64_t bytes, uint32_t ways);
  // Of a sector; `dirty_out` sectors had to be written for it to find room.
  Line& line_of(uint64_t sector, uint32_t& dirty_out);
  bool has_line_of(uint64_t sector) const;
  const std::vector<Line>& lines() const { return lines_; }

 private:
  uint64_t set_of(uint64_t tag) const;

  std::vector<Line> lines_;
  uint64_t sets_;
  uint32_t ways_, stamp_ = 0;
};

class Profiler {
 public:
  Profiler(Grid& g, const DeviceModel& model);
  void access(Warp& w, Space space, Access kind, const uint64_t* address, uint32_t mask,
              uint32_t bytes, bool past_l1 = false);
  void atomic(Space space, Ty type);
  void finish();

 private:
  void shared_access(Access kind, const uint64_t* address, uint32_t mask, uint32_t bytes);
  void count_global(Access kind, uint32_t lanes, uint32_t bytes, uint32_t sectors);
  void touch(uint64_t sector, Access kind);
  void l1(uint64_t block, uint64_t sector, bool past);
  void read_l1(Cache& cache, uint64_t sector, uint64_t& hits);
  void l2(uint64_t sector, bool write, bool atomic);

  Grid& g_;
  const DeviceModel& model_;
  Cache l2_;
  struct L1 {
    Cache cache, unhinted;  // the second takes L1::no_allocate for an ordinary load
  };
  std::vector<L1> l1_;  // of each multiprocessor
  struct Footprint {
    std::vector<uint64_t> read, write;
  };
  std::unordered_map<uint64_t, Footprint> footprint_;  // by 2 MiB page
  uint64_t last_page_ = ~0ull;
  Footprint* last_ = nullptr;
};

}  // namespace cudasim
