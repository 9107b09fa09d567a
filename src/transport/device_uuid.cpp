// SPDX-License-Identifier: Apache-2.0
#include "transport/device_uuid.hpp"

#include <cstddef>
#include <map>

#include "warpbag/error.hpp"

namespace warpbag::ranks {

std::string text_of(const device_uuid& uuid) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits[uuid[i] >> 4];
    text += digits[uuid[i] & 15];
  }
  return text;
}

void require_distinct_devices(std::span<const device_uuid> devices) {
  std::map<device_uuid, std::size_t> owner;
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    const auto [found, first] = owner.emplace(devices[rank], rank);
    if (first) continue;
    throw invalid_argument("ranks " + std::to_string(found->second) + " and " +
                           std::to_string(rank) + " share the device " + text_of(devices[rank]) +
                           ": every rank needs a GPU of its own");
  }
}

}  // namespace warpbag::ranks
