// SPDX-License-Identifier: Apache-2.0
// Traffic counters and the model of the L2 cache.
#pragma once

#include "machine.h"

namespace cudasim {

class Profiler {
 public:
  Profiler(Grid& g, uint64_t l2_bytes);
  void access(Warp& w, Space space, Access kind, const uint64_t* address, uint32_t mask,
              uint32_t bytes);
  void atomic(Space space, Ty type);
  void finish();

 private:
  static constexpr uint32_t kWays = 16;
  struct Line {
    uint64_t tag = ~0ull;
    uint8_t valid = 0, dirty = 0;
    uint32_t stamp = 0;
  };
  void shared_access(Access kind, const uint64_t* address, uint32_t mask, uint32_t bytes);
  void count_global(Access kind, uint32_t lanes, uint32_t bytes, uint32_t sectors);
  void touch(uint64_t sector, Access kind);
  void l2(uint64_t sector, bool write, bool atomic);

  Grid& g_;
  std::vector<Line> lines_;
  uint64_t sets_ = 1;
  uint32_t stamp_ = 0;
  struct Footprint {
    std::vector<uint64_t> read, write;
  };
  std::unordered_map<uint64_t, Footprint> footprint_;  // by 2 MiB page
  uint64_t last_page_ = ~0ull;
  Footprint* last_ = nullptr;
};

}  // namespace cudasim
