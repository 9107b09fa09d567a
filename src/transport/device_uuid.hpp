// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which GPU a rank works on. An ordinal says nothing to another process or machine; a UUID does.

#include <array>
#include <span>
#include <string>

namespace warpbag::ranks {

using device_uuid = std::array<unsigned char, 16>;

/// As nvidia-smi writes it: GPU-8c2c0b5e-....
std::string text_of(const device_uuid& uuid);

/// `devices[r]` is that of rank r. Throws invalid_argument naming the ranks and the UUID when two
/// ranks share a device, where collectives would wait for each other forever.
void require_distinct_devices(std::span<const device_uuid> devices);

}  // namespace warpbag::ranks
