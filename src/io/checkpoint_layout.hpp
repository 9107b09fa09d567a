// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a checkpoint holds and where it belongs in a collection (the format: checkpoint.hpp).

#include <span>
#include <string>
#include <vector>

#include "warpbag/collection.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag::io {

inline constexpr const char* checksums_name = "warpbag.checksums";
inline constexpr const char* format_key = "warpbag.format";
inline constexpr const char* collection_key = "warpbag.collection";
inline constexpr const char* format_version = "1";

/// A part of a table: a matrix in memory of the device, or one of the numbers of its step_state.
enum class tensor_role : std::uint8_t { matrix, step, beta_powers, learning_rate };

struct checkpoint_tensor {
  safetensors_entry entry;
  tensor_role role = tensor_role::matrix;
  std::size_t table = 0;
  tensor_view matrix;  // of role matrix
};

/// In the order of the file; the checksums are not among them.
std::vector<checkpoint_tensor> tensors_of(embedding_bag_collection& collection);

/// [tensors before it + 1]
safetensors_entry checksums_entry(std::size_t num_tensors);

/// Bytes of the number of `role`, and back.
std::vector<std::byte> encode(const step_state& state, tensor_role role);
void decode(std::span<const std::byte> bytes, tensor_role role, step_state& state);

/// What must agree when a checkpoint is loaded, as JSON: seed, and of each table name, freezing and
/// the options of the optimizer but for the learning rate, which runs.
std::string describe(const embedding_bag_collection& collection);

/// What differs between two descriptions, in words; empty when nothing does. Throws corrupt_file
/// when `saved` is not a description.
std::string difference(const std::string& saved, const std::string& wanted);

/// Hash of shapes and metadata.
std::uint64_t header_checksum(std::span<const safetensors_entry> entries,
                              const safetensors_metadata& metadata);

}  // namespace warpbag::io
