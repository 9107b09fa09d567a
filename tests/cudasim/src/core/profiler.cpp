// SPDX-License-Identifier: Apache-2.0
#include "profiler.h"

namespace cudasim {

// A capacity that is no power of two keeps its size: sets are found by modulo.
Cache::Cache(uint64_t bytes, uint32_t ways)
    : sets_(std::max<uint64_t>(1, bytes / 128 / ways)), ways_(ways) {
  lines_.resize(sets_ * ways_);
}

// Spreads consecutive lines and large strides over the sets.
uint64_t Cache::set_of(uint64_t tag) const {
  return (tag ^ (tag >> 13) * 0x9E3779B97F4A7C15ull >> 40) % sets_;
}

bool Cache::has_line_of(uint64_t sector) const {
  uint64_t tag = sector >> 2;
  const Line* way = &lines_[set_of(tag) * ways_];
  return std::any_of(way, way + ways_, [&](const Line& line) { return line.tag == tag; });
}

Cache::Line& Cache::line_of(uint64_t sector, uint32_t& dirty_out) {
  uint64_t tag = sector >> 2;
  Line* way = &lines_[set_of(tag) * ways_];
  Line* line = way;
  for (uint32_t k = 0; k < ways_ && line->tag != tag; ++k)
    if (way[k].tag == tag || way[k].stamp < line->stamp) line = &way[k];
  dirty_out = 0;
  if (line->tag != tag) {
    dirty_out = uint32_t(__builtin_popcount(line->dirty));
    *line = Line{tag, 0, 0, 0};
  }
  line->stamp = ++stamp_;
  return *line;
}

Profiler::Profiler(Grid& g, const DeviceModel& model)
    : g_(g), model_(model), l2_(model.l2_bytes, 16) {}

// Blocks are dealt to multiprocessors in turn, and every load goes through L1, whatever its cache
// operator; stores go past it. past: a line that is not there is not brought there.
void Profiler::l1(uint64_t block, uint64_t sector, bool past) {
  if (l1_.empty()) {
    const Cache cold(model_.l1_bytes, 4);
    l1_.assign(size_t(model_.sm_count), {cold, cold});
  }
  L1& here = l1_[block % l1_.size()];
  if (!past || here.cache.has_line_of(sector)) {
    read_l1(here.cache, sector, g_.counters.l1_hit_sectors);
  }
  read_l1(here.unhinted, sector, g_.counters.l1_hit_sectors_unhinted);
}

void Profiler::read_l1(Cache& cache, uint64_t sector, uint64_t& hits) {
  uint8_t bit = uint8_t(1u << (sector & 3));
  uint32_t none;
  Cache::Line& line = cache.line_of(sector, none);
  hits += (line.valid & bit) != 0;
  line.valid |= bit;
}

void Profiler::l2(uint64_t sector, bool write, bool atomic) {
  uint8_t bit = uint8_t(1u << (sector & 3));
  uint32_t dirty_out;
  Cache::Line& line = l2_.line_of(sector, dirty_out);
  g_.counters.dram_write_sectors += dirty_out;
  if (line.valid & bit)
    ++g_.counters.l2_hit_sectors;
  else if (!write || atomic)
    ++g_.counters.dram_read_sectors;
  line.valid |= bit;
  if (write || atomic) line.dirty |= bit;
}

// 32 banks of 4 bytes; 8-byte accesses go by half warps, 16-byte ones by quarters.
void Profiler::shared_access(Access kind, const uint64_t* address, uint32_t mask, uint32_t bytes) {
  Counters& c = g_.counters;
  (kind == Access::load ? c.shared_load_requests : c.shared_store_requests) += 1;
  uint32_t groups = bytes >= 16 ? bytes / 4 : bytes == 8 ? 2 : 1, per = 32 / groups;
  for (uint32_t q = 0; q < groups; ++q) {
    uint32_t m = mask & (per == 32 ? ~0u : ((1u << per) - 1) << (q * per));
    if (!m) continue;
    uint64_t words[32 * 8];
    uint32_t n = 0, load[32] = {};
    for (; m; m &= m - 1) {
      uint64_t a = address[__builtin_ctz(m)];
      for (uint64_t x = a >> 2; x <= (a + bytes - 1) >> 2; ++x) words[n++] = x;
    }
    std::sort(words, words + n);
    uint32_t most = 1;
    for (uint32_t k = 0; k < n; ++k)
      if (k == 0 || words[k] != words[k - 1]) most = std::max(most, ++load[words[k] & 31]);
    c.shared_wavefronts += most;
  }
}

void Profiler::count_global(Access kind, uint32_t lanes, uint32_t bytes, uint32_t sectors) {
  Counters& c = g_.counters;
  uint64_t total = uint64_t(lanes) * bytes;
  switch (kind) {
    case Access::load:
      c.global_load_requests += 1;
      c.global_load_sectors += sectors;
      c.global_load_bytes += total;
      c.uncoalesced_load_requests += sectors > (total + 31) / 32;
      break;
    case Access::store:
      c.global_store_requests += 1;
      c.global_store_sectors += sectors;
      c.global_store_bytes += total;
      break;
    case Access::atomic:
      c.global_atomic_requests += 1;
      c.global_atomic_sectors += sectors;
      break;
  }
}

// Footprint and L2 of one sector.
void Profiler::touch(uint64_t sector, Access kind) {
  Counters& c = g_.counters;
  uint64_t page = sector >> 16;
  if (page != last_page_) {
    last_ = &footprint_[page];
    last_page_ = page;
    if (last_->read.empty()) last_->read.resize(1024), last_->write.resize(1024);
  }
  uint64_t bit = 1ull << (sector & 63);
  uint32_t word = uint32_t(sector >> 6) & 1023;
  if (kind != Access::store && !(last_->read[word] & bit))
    last_->read[word] |= bit, c.footprint_read_bytes += 32;
  if (kind != Access::load && !(last_->write[word] & bit))
    last_->write[word] |= bit, c.footprint_write_bytes += 32;
  l2(sector, kind != Access::load, kind == Access::atomic);
}

void Profiler::access(Warp& w, Space space, Access kind, const uint64_t* address, uint32_t mask,
                      uint32_t bytes, bool past_l1) {
  if (space == Space::shared) return shared_access(kind, address, mask, bytes);
  if (space == Space::param) return;
  uint64_t sectors[32 * 2];
  uint32_t n = 0;
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    uint64_t a = address[i];
    if (space == Space::local) {  // interleaved by 4-byte words across the lanes
      a = (uint64_t(w.block->index) << 40 | uint64_t(w.id) << 32) + (a / 4) * 128 + uint64_t(i) * 4;
      for (uint32_t k = 0; k < std::max(1u, bytes / 4); ++k)
        if (n < 64) sectors[n++] = (a + uint64_t(k) * 128) >> 5;
      continue;
    }
    sectors[n++] = a >> 5;
    if ((a + bytes - 1) >> 5 != a >> 5) sectors[n++] = (a + bytes - 1) >> 5;
  }
  bool sorted = true;
  for (uint32_t k = 1; k < n; ++k) sorted &= sectors[k - 1] <= sectors[k];
  if (!sorted) std::sort(sectors, sectors + n);
  n = uint32_t(std::unique(sectors, sectors + n) - sectors);
  if (space == Space::local) {
    g_.counters.local_requests += 1;
    g_.counters.local_sectors += n;
    return;
  }
  count_global(kind, uint32_t(__builtin_popcount(mask)), bytes, n);
  for (uint32_t k = 0; k < n; ++k) {
    if (kind == Access::load) l1(w.block->index, sectors[k], past_l1);
    touch(sectors[k], kind);
  }
}

void Profiler::atomic(Space space, Ty type) {
  if (space != Space::global && space != Space::shared) return;
  g_.counters.shared_atomic_requests += space == Space::shared;
  g_.counters.float_atomic_requests += is_float(type);
}

void Profiler::finish() {  // what is still dirty has to be written some time
  for (const Cache::Line& l : l2_.lines())
    g_.counters.dram_write_sectors += uint64_t(__builtin_popcount(l.dirty));
}

}  // namespace cudasim
