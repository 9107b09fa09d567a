// SPDX-License-Identifier: Apache-2.0
#include "io/checksum.hpp"

#define XXH_INLINE_ALL  // from the header alone: no library to find at run time
#include <xxhash.h>

namespace warpbag::io {

struct checksum::state {
  XXH3_state_t xxh3;
};

checksum::checksum() : state_(std::make_unique<state>()) { XXH3_64bits_reset(&state_->xxh3); }
checksum::~checksum() = default;

void checksum::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

std::uint64_t checksum::value() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace warpbag::io
