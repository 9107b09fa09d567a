// SPDX-License-Identifier: Apache-2.0
// The container nvcc embeds: PTX texts and cubins for several architectures.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cudasim {

struct FatEntry {
  enum class Kind { ptx, cubin, other } kind = Kind::other;
  int arch = 0;  // 90 for sm_90
  const uint8_t* payload = nullptr;
  uint64_t stored = 0, unpacked = 0;  // bytes in the file and after decompression
  enum class Packing { none, lz4, zstd } packing = Packing::none;
};

// Lists the entries; throws std::runtime_error on a container it does not know.
std::vector<FatEntry> parse_fatbin(const void* container);
std::string unpack(const FatEntry& entry);

struct CubinKernel {
  int registers = 0;
  int frame_bytes = 0;
};
// Register count and stack frame by mangled kernel name.
std::map<std::string, CubinKernel> read_cubin(const std::string& elf);

}  // namespace cudasim
