// SPDX-License-Identifier: Apache-2.0
#include "fatbin.h"

#include <elf.h>
#include <lz4.h>
#include <zstd.h>

#include <cstring>
#include <stdexcept>

namespace cudasim {
namespace {

constexpr uint32_t kWrapperMagic = 0x466243B1, kFatbinMagic = 0xBA55ED50;
constexpr uint64_t kFlagLz4 = 0x2000, kFlagZstd = 0x8000;

struct Wrapper {
  uint32_t magic, version;
  const void* data;
  void* other;
};
struct Header {
  uint32_t magic;
  uint16_t version, header_bytes;
  uint64_t payload_bytes;
};
struct EntryHeader {
  uint16_t kind, version;
  uint32_t header_bytes;
  uint64_t payload_bytes;
  uint32_t compressed_bytes, options_offset;
  uint16_t minor, major;
  uint32_t arch;
  uint32_t name_offset, name_bytes;
  uint64_t flags, reserved, unpacked_bytes;
};
constexpr uint16_t kKindPtx = 1, kKindCubin = 2;

}  // namespace

std::vector<FatEntry> parse_fatbin(const void* container) {
  auto* wrapper = static_cast<const Wrapper*>(container);
  const void* data = wrapper->magic == kWrapperMagic ? wrapper->data : container;
  auto* bytes = static_cast<const uint8_t*>(data);
  Header header;
  std::memcpy(&header, bytes, sizeof header);
  if (header.magic != kFatbinMagic)
    throw std::runtime_error("not a fat binary (wrong magic number)");
  std::vector<FatEntry> entries;
  const uint8_t* at = bytes + header.header_bytes;
  const uint8_t* end = at + header.payload_bytes;
  while (at + sizeof(EntryHeader) - 8 <= end) {
    EntryHeader e{};
    std::memcpy(&e, at, 56);
    if (e.header_bytes >= 64) std::memcpy(&e, at, 64);
    if (e.header_bytes == 0) throw std::runtime_error("malformed fat binary entry");
    FatEntry out;
    out.kind = e.kind == kKindPtx     ? FatEntry::Kind::ptx
               : e.kind == kKindCubin ? FatEntry::Kind::cubin
                                      : FatEntry::Kind::other;
    out.arch = static_cast<int>(e.arch);
    out.payload = at + e.header_bytes;
    if (e.flags & (kFlagLz4 | kFlagZstd)) {
      out.packing = e.flags & kFlagZstd ? FatEntry::Packing::zstd : FatEntry::Packing::lz4;
      out.stored = e.compressed_bytes;
      out.unpacked = e.unpacked_bytes;
    } else {
      out.stored = out.unpacked = e.payload_bytes;
    }
    entries.push_back(out);
    at += e.header_bytes + e.payload_bytes;
  }
  return entries;
}

std::string unpack(const FatEntry& entry) {
  auto* in = reinterpret_cast<const char*>(entry.payload);
  if (entry.packing == FatEntry::Packing::none) return {in, entry.stored};
  std::string out(entry.unpacked, '\0');
  if (entry.packing == FatEntry::Packing::zstd) {
    size_t n = ZSTD_decompress(out.data(), out.size(), in, entry.stored);
    if (ZSTD_isError(n)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(n));
    out.resize(n);
  } else {
    int n = LZ4_decompress_safe(in, out.data(), static_cast<int>(entry.stored),
                                static_cast<int>(out.size()));
    if (n < 0) throw std::runtime_error("lz4: malformed data in the fat binary");
    out.resize(static_cast<size_t>(n));
  }
  return out;
}

std::map<std::string, CubinKernel> read_cubin(const std::string& elf) {
  std::map<std::string, CubinKernel> kernels;
  if (elf.size() < sizeof(Elf64_Ehdr) || std::memcmp(elf.data(), ELFMAG, SELFMAG) != 0)
    return kernels;
  auto at = [&]<class T>(uint64_t offset, T& out) {
    if (offset + sizeof(T) > elf.size()) return false;
    std::memcpy(&out, elf.data() + offset, sizeof(T));
    return true;
  };
  Elf64_Ehdr eh;
  at(0, eh);
  std::vector<Elf64_Shdr> sections(eh.e_shnum);
  for (size_t i = 0; i < sections.size(); ++i)
    if (!at(eh.e_shoff + i * sizeof(Elf64_Shdr), sections[i])) return kernels;
  if (eh.e_shstrndx >= sections.size()) return kernels;
  auto text = [&](const Elf64_Shdr& table, uint64_t offset) -> std::string {
    uint64_t p = table.sh_offset + offset;
    return p < elf.size() ? std::string(elf.c_str() + p) : std::string();
  };
  std::map<uint32_t, std::string> symbols;
  for (auto& s : sections) {
    if (s.sh_type != SHT_SYMTAB || s.sh_link >= sections.size()) continue;
    for (uint64_t i = 0; i * sizeof(Elf64_Sym) < s.sh_size; ++i) {
      Elf64_Sym sym;
      if (at(s.sh_offset + i * sizeof(Elf64_Sym), sym))
        symbols[i] = text(sections[s.sh_link], sym.st_name);
    }
  }
  // .nv.info attributes with a {symbol, value} pair: REGCOUNT 0x2f, FRAME_SIZE 0x11.
  for (auto& s : sections) {
    std::string name = text(sections[eh.e_shstrndx], s.sh_name);
    if (name.starts_with(".text.")) {
      auto& k = kernels[name.substr(6)];
      if (k.registers == 0) k.registers = static_cast<int>(s.sh_info >> 24);
    }
    if (name != ".nv.info") continue;
    uint64_t p = s.sh_offset, end = s.sh_offset + s.sh_size;
    while (p + 4 <= end && end <= elf.size()) {
      uint8_t format = elf[p], attribute = elf[p + 1];
      uint16_t size = 0;
      at(p + 2, size);
      p += 4;
      if (format != 4) continue;  // only the sized format carries data after the header
      uint32_t symbol = 0, value = 0;
      if (size >= 8 && at(p, symbol) && at(p + 4, value)) {
        if (attribute == 0x2f) kernels[symbols[symbol]].registers = static_cast<int>(value);
        if (attribute == 0x11) kernels[symbols[symbol]].frame_bytes = static_cast<int>(value);
      }
      p += size;
    }
  }
  return kernels;
}

}  // namespace cudasim
