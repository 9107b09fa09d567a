// SPDX-License-Identifier: Apache-2.0
// CUDASIM_PROFILE: counters and launch facts by kernel, written at exit as JSON.
#include <cstdio>

#include "runtime.h"

namespace cudasim {
namespace {

struct KernelProfile {
  std::string name;
  uint64_t launches = 0;
  Counters counters;
  int registers = 0;
  bool registers_known = false;
  uint64_t static_shared = 0, max_dynamic_shared = 0, local = 0;
  uint32_t block_threads = 0;
  double occupancy = 0;
};
std::map<std::string, KernelProfile>& profiles() {
  static auto* p = new std::map<std::string, KernelProfile>;
  return *p;
}
std::mutex& profile_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

// clang-format off
#define CUDASIM_COUNTERS(X) \
  X(warp_instructions) X(thread_instructions) X(fp_instructions) X(integer_instructions) \
  X(control_instructions) X(memory_instructions) X(convert_instructions) X(sync_instructions) \
  X(global_load_requests) X(global_load_sectors) X(global_load_bytes) X(global_store_requests) \
  X(global_store_sectors) X(global_store_bytes) X(global_atomic_requests) \
  X(global_atomic_sectors) X(shared_load_requests) X(shared_store_requests) X(shared_wavefronts) \
  X(local_requests) X(local_sectors) X(l1_hit_sectors) X(l1_hit_sectors_unhinted) X(l2_hit_sectors) X(dram_read_sectors) \
  X(dram_write_sectors) X(footprint_read_bytes) X(footprint_write_bytes) X(branches) \
  X(divergent_branches) X(barriers) X(blocks) X(threads) \
  X(float_atomic_requests) X(shared_atomic_requests) X(uncoalesced_load_requests) \
  X(max_block_warp_instructions) X(max_warp_instructions_per_warp)
// clang-format on

#define CUDASIM_COUNT(field) +1
static_assert(sizeof(Counters) == (0 CUDASIM_COUNTERS(CUDASIM_COUNT)) * sizeof(uint64_t),
              "core.h has counters the profile does not list");
#undef CUDASIM_COUNT

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + '"';
}

// Over launches a counter is summed; one called max_... keeps the maximum.
void add(std::string_view name, uint64_t& total, uint64_t value) {
  total = name.starts_with("max_") ? std::max(total, value) : total + value;
}

}  // namespace

void write_profile() {
  if (settings().profile.empty()) return;
  std::lock_guard lock(profile_mutex());
  FILE* f = std::fopen(settings().profile.c_str(), "w");
  if (!f) {
    complain("cannot write CUDASIM_PROFILE=%s", settings().profile.c_str());
    return;
  }
  std::fprintf(f, "{\n  \"device\": \"simulated sm_90\",\n  \"kernels\": [");
  const char* comma = "";
  for (auto& [mangled, p] : profiles()) {
    std::fprintf(
        f,
        "%s\n    {\"name\": %s, \"mangled\": %s, \"launches\": %llu,\n     \"registers\": %d, "
        "\"registers_known\": %s,"
        " \"static_shared_bytes\": %llu, \"dynamic_shared_bytes\": %llu, \"shared_bytes\": %llu,"
        " \"local_bytes\": %llu, \"block_threads\": %u, \"theoretical_occupancy\": %.4f,\n     "
        "\"counters\": {",
        comma, quoted(p.name).c_str(), quoted(mangled).c_str(),
        static_cast<unsigned long long>(p.launches), p.registers,
        p.registers_known ? "true" : "false", static_cast<unsigned long long>(p.static_shared),
        static_cast<unsigned long long>(p.max_dynamic_shared),
        static_cast<unsigned long long>(p.static_shared + p.max_dynamic_shared),
        static_cast<unsigned long long>(p.local), p.block_threads, p.occupancy);
    const char* inner = "";
#define CUDASIM_PRINT(field)                                       \
  std::fprintf(f, "%s\"" #field "\": %llu", inner,                 \
               static_cast<unsigned long long>(p.counters.field)); \
  inner = ", ";
    CUDASIM_COUNTERS(CUDASIM_PRINT)
#undef CUDASIM_PRINT
    std::fprintf(f, "}}");
    comma = ",";
  }
  std::fprintf(f, "\n  ]\n}\n");
  std::fclose(f);
}

void record_profile(const KernelEntry& entry, const KernelFacts& facts, const LaunchConfig& config,
                    const LaunchResult& result) {
  if (settings().profile.empty()) return;
  std::lock_guard lock(profile_mutex());
  KernelProfile& p = profiles()[entry.name];
  p.name = entry.demangled;
  ++p.launches;
#define CUDASIM_ADD(field) add(#field, p.counters.field, result.counters.field);
  CUDASIM_COUNTERS(CUDASIM_ADD)
#undef CUDASIM_ADD
  p.registers = facts.registers;
  p.registers_known = facts.registers_known;
  p.static_shared = facts.info->static_shared_bytes;
  p.local = facts.info->local_bytes;
  p.max_dynamic_shared = std::max(p.max_dynamic_shared, config.dynamic_shared);
  p.block_threads = static_cast<uint32_t>(config.block.count());
  int blocks = occupancy(facts, static_cast<int>(p.block_threads), config.dynamic_shared);
  p.occupancy = blocks * ((p.block_threads + 31) / 32) / 64.0;
}

}  // namespace cudasim
