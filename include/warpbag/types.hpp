// SPDX-License-Identifier: Apache-2.0
#pragma once
// The small vocabulary that every other header speaks.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "warpbag/export.hpp"

namespace warpbag {

/// Stored type of rows, outputs and gradients. Arithmetic is always fp32; f16 and bf16 widen
/// exactly.
enum class dtype : std::uint8_t { f32, f16, bf16 };

/// Type of ids and offsets. Within one call every id and every offset has the same type.
enum class index_type : std::uint8_t { i32, i64 };

/// How a bag becomes a vector. `none` gives one output row per id (torch.nn.Embedding).
enum class pooling_mode : std::uint8_t { sum, mean, max, none };

/// What an id outside [0, num_embeddings) does.
/// error: the call throws id_out_of_range (on a device: the batch is gated off and check() throws).
/// skip:  the lookup is not there: it adds nothing and does not count in a mean.
/// zero:  the id stands for a row of zeros that cannot be trained: it counts in a mean and competes
/// in a max. skip and zero count what they met. In mode none both give an output row of zeros.
enum class bad_id_policy : std::uint8_t { error, skip, zero };

enum class device_kind : std::uint8_t { cpu, cuda };

/// A place where tables live. `ordinal` is the CUDA device number and 0 for the CPU.
struct device {
  device_kind kind = device_kind::cpu;
  int ordinal = 0;
  friend bool operator==(const device&, const device&) = default;
};

constexpr std::size_t size_of(dtype type) { return type == dtype::f32 ? 4 : 2; }
constexpr std::size_t size_of(index_type type) { return type == index_type::i32 ? 4 : 8; }

WARPBAG_EXPORT std::string_view to_string(dtype type);
WARPBAG_EXPORT std::string_view to_string(index_type type);
WARPBAG_EXPORT std::string_view to_string(pooling_mode mode);
WARPBAG_EXPORT std::string_view to_string(bad_id_policy policy);
WARPBAG_EXPORT std::string_view to_string(device_kind kind);

}  // namespace warpbag
