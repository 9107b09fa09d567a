// SPDX-License-Identifier: Apache-2.0
#include "arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "runtime.h"

namespace cudasim::memory {
namespace {

constexpr uint64_t kArenaBase = 0x300000000000, kArenaStride = 0x10000000000;
constexpr uint64_t kPage = 4096;

// Zeros [begin, begin + size) of a mapping: the whole pages by `advice`, the ends by hand.
void zero(uint8_t* mapping, uint64_t begin, uint64_t size, int advice) {
  uint64_t end = begin + size, from = round_up(begin, kPage), to = end / kPage * kPage;
  if (from >= to || madvise(mapping + from, to - from, advice) != 0) {
    std::memset(mapping + begin, 0, size);
    return;
  }
  std::memset(mapping + begin, 0, from - begin);
  std::memset(mapping + to, 0, end - to);
}

}  // namespace

void Arena::reserve(int device) {
  bytes_ = round_up(settings().memory, 2 << 20) * 4;
  auto wanted = reinterpret_cast<void*>(kArenaBase + static_cast<uint64_t>(device) * kArenaStride);
  void* user = mmap(wanted, bytes_, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (user == MAP_FAILED)
    user = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int fd = memfd_create("cudasim-device-memory", MFD_CLOEXEC);
  if (fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes_)) != 0) fd = -1;
  void* rw = fd >= 0
                 ? mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
                 : MAP_FAILED;
  void* shadow = nullptr;
  if (settings().core.initcheck)
    shadow = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (user == MAP_FAILED || rw == MAP_FAILED || shadow == MAP_FAILED) {
    std::fprintf(stderr, "[cudasim] cannot reserve %llu bytes of address space for device %d\n",
                 static_cast<unsigned long long>(bytes_), device);
    std::abort();
  }
  base_ = reinterpret_cast<uint64_t>(user);
  alias_ = static_cast<uint8_t*>(rw);
  init_ = static_cast<uint8_t*>(shadow);
}

uint64_t Arena::take_reusable(uint64_t size) {
  for (auto it = reusable_.begin(); it != reusable_.end(); ++it) {
    if (it->second < size) continue;
    auto [begin, have] = *it;
    reusable_.erase(it);
    if (have > size) reusable_[begin + size] = have - size;
    return begin;
  }
  return UINT64_MAX;
}

void Arena::recycle(uint64_t begin, uint64_t size) {
  auto next = reusable_.lower_bound(begin);
  if (next != reusable_.end() && begin + size == next->first) {
    size += next->second;
    next = reusable_.erase(next);
  }
  if (next != reusable_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == begin) {
      before->second += size;
      return;
    }
  }
  reusable_[begin] = size;
}

uint64_t Arena::take(uint64_t size) {
  if (bump_ + size <= bytes_) {
    uint64_t at = bump_;
    bump_ += size;
    return at;
  }
  uint64_t at = take_reusable(size);
  while (at == UINT64_MAX && !quarantine_.empty()) {
    recycle(quarantine_.front().first, quarantine_.front().second);
    quarantine_.pop_front();
    at = take_reusable(size);
  }
  return at;
}

void Arena::give(uint64_t offset, uint64_t size) { quarantine_.emplace_back(offset, size); }

void Arena::clear(uint64_t offset, uint64_t size) { zero(alias_, offset, size, MADV_REMOVE); }

void Arena::clear_init(uint64_t offset, uint64_t size) {
  if (init_) zero(init_, offset, size, MADV_DONTNEED);
}

}  // namespace cudasim::memory
