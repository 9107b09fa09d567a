// SPDX-License-Identifier: Apache-2.0
#include "warpbag/memory_resource.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

memory_resource& host() { return default_memory_resource({device_kind::cpu, 0}); }

bool is_aligned(const void* memory, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}

TEST(HostMemory, is_writable_and_aligned_for_every_size_and_alignment) {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{4096},
        (std::size_t{4} << 20) - 1, (std::size_t{4} << 20) + 1}) {
    for (std::size_t alignment = 1; alignment <= 256; alignment *= 2) {
      void* const memory = host().allocate(bytes, alignment, nullptr);
      ASSERT_NE(memory, nullptr);
      EXPECT_TRUE(is_aligned(memory, alignment)) << bytes << " bytes, alignment " << alignment;
      std::memset(memory, 1, bytes);
      host().deallocate(memory, bytes, nullptr);
    }
  }
}

TEST(HostMemory, begins_on_a_huge_page_when_the_block_is_large) {
  const std::size_t bytes = std::size_t{4} << 20;
  void* const memory = host().allocate(bytes, 64, nullptr);
  EXPECT_TRUE(is_aligned(memory, std::size_t{2} << 20));
  host().deallocate(memory, bytes, nullptr);
}

TEST(HostMemory, throws_bad_allocation_that_names_the_size_when_there_is_not_enough) {
  for (const std::size_t bytes :
       {std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max() / 2 + 1}) {
    try {
      host().allocate(bytes, 64, nullptr);
      FAIL() << "allocated " << bytes << " bytes";
    } catch (const bad_allocation& error) {
      EXPECT_NE(std::string(error.what()).find(std::to_string(bytes)), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace warpbag
