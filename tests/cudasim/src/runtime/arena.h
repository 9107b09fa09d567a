// SPDX-License-Identifier: Apache-2.0
// One device's memory: a range of user-visible addresses mapped PROT_NONE (a host dereference
// faults, as on a real machine) plus a read-write mapping of the same size that only the simulator
// uses. Pages are taken from the system when they are first written, so that an allocation costs
// what is touched of it. The address range is four times the capacity, so that freed blocks can
// stay unused for a long time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

namespace cudasim::memory {

inline uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

class Arena {
 public:
  void reserve(int device);
  bool reserved() const { return base_ != 0; }
  bool contains(uint64_t address) const { return reserved() && address - base_ < bytes_; }

  // Offset of `size` bytes, or UINT64_MAX. Their contents are whatever was there before.
  uint64_t take(uint64_t size);
  void give(uint64_t offset, uint64_t size);  // not reused before everything freed earlier

  // The bytes [offset, offset + size) read as zeros afterwards, with the pages that they fill
  // given back.
  void clear(uint64_t offset, uint64_t size);
  void clear_init(uint64_t offset, uint64_t size);  // the same for initcheck's shadow

  uint64_t address(uint64_t offset) const { return base_ + offset; }
  uint64_t offset(uint64_t address) const { return address - base_; }
  uint8_t* host(uint64_t offset) const { return alias_ + offset; }
  uint8_t* init(uint64_t offset) const { return init_ ? init_ + offset : nullptr; }

  uint64_t used = 0;  // bytes charged to live allocations

 private:
  uint64_t take_reusable(uint64_t size);
  void recycle(uint64_t begin, uint64_t size);

  uint64_t base_ = 0, bytes_ = 0;  // user-visible range
  uint8_t* alias_ = nullptr;
  uint8_t* init_ = nullptr;
  uint64_t bump_ = 0;
  std::deque<std::pair<uint64_t, uint64_t>> quarantine_;  // freed, oldest first
  std::map<uint64_t, uint64_t> reusable_;                 // left quarantine, coalesced
};

}  // namespace cudasim::memory
