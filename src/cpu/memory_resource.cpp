// SPDX-License-Identifier: Apache-2.0
#include "warpbag/memory_resource.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "operations/device_memory.hpp"
#include "warpbag/error.hpp"

namespace warpbag {

namespace {

// Rows are read at random: with 4 KiB pages nearly every row of a large table misses the TLB.
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
constexpr std::size_t huge_block_bytes = 2 * huge_page_bytes;

class host_memory final : public memory_resource {
 public:
  void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream) override {
    const bool huge = bytes >= huge_block_bytes;
    const std::size_t aligned_to =
        std::max(huge ? huge_page_bytes : alignof(std::max_align_t), alignment);
    // No object is larger than a pointer difference.
    if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - aligned_to) fail(bytes);
    // aligned_alloc takes a multiple of the alignment, and not zero.
    const std::size_t rounded = std::max(bytes + aligned_to - 1, aligned_to) & ~(aligned_to - 1);
    void* const memory = std::aligned_alloc(aligned_to, rounded);
    if (memory == nullptr) fail(bytes);
    // Advice: where the kernel has no huge pages to give, small ones do the same, slower.
    if (huge) static_cast<void>(::madvise(memory, rounded, MADV_HUGEPAGE));
    return memory;
  }

  void deallocate(void* memory, std::size_t, cuda_stream) noexcept override { std::free(memory); }

 private:
  [[noreturn]] static void fail(std::size_t bytes) {
    throw bad_allocation("cannot allocate " + std::to_string(bytes) + " bytes on the CPU");
  }
};

}  // namespace

memory_resource& operations::cpu_memory_resource() {
  static host_memory resource;
  return resource;
}

memory_resource& default_memory_resource(device where) {
  return where.kind == device_kind::cpu ? operations::cpu_memory_resource()
                                        : operations::cuda_memory_resource(where.ordinal);
}

}  // namespace warpbag
