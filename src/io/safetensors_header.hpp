// SPDX-License-Identifier: Apache-2.0
#pragma once
// The JSON header of a safetensors file, as text and back.

#include <string>
#include <string_view>
#include <vector>

#include "warpbag/safetensors.hpp"

namespace warpbag::io {

inline constexpr std::uint64_t max_header_bytes = 100'000'000;  // as in the original implementation
inline constexpr std::uint64_t length_bytes = 8;                // of the number before the header

struct safetensors_header {
  std::vector<safetensors_entry> entries;  // in the order of their bytes
  std::vector<std::uint64_t> begins;       // first byte of each, counted from the header's end
  safetensors_metadata metadata;
};

/// The header with its length before it, padded by spaces so that the tensors begin at a multiple
/// of
/// 8. Throws invalid_argument as safetensors_writer does.
std::string write_header(const std::vector<safetensors_entry>& entries,
                         const safetensors_metadata& metadata);

/// `text` is the JSON alone; `data_bytes` is what the file holds after it. Throws corrupt_file as
/// safetensors_reader does; `file` is for the message.
safetensors_header parse_header(std::string_view text, std::uint64_t data_bytes,
                                const std::string& file);

}  // namespace warpbag::io
