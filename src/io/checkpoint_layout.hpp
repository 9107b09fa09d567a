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

/// A part of a table: its weight, an optimizer state, or one of the numbers of its step_state.
enum class tensor_role : std::uint8_t { weight, state, step, beta_powers, learning_rate };

constexpr bool is_matrix(tensor_role role) {
  return role == tensor_role::weight || role == tensor_role::state;
}

struct checkpoint_tensor {
  safetensors_entry entry;
  tensor_role role = tensor_role::weight;
  std::size_t table = 0;
  int state = 0;  // of role state
};

/// In the order of the file; the checksums are not among them.
std::vector<checkpoint_tensor> tensors_of(std::span<const table_config> tables);

/// The entries of `tensors` and, last, of the checksums.
std::vector<safetensors_entry> entries_of(std::span<const checkpoint_tensor> tensors);

/// Metadata of a file: the caller's and ours. Throws invalid_argument for reserved keys.
safetensors_metadata with_reserved(safetensors_metadata metadata, const std::string& description);

/// [tensors before it + 1]
safetensors_entry checksums_entry(std::size_t num_tensors);

/// Bytes of the number of `role`, and back.
std::vector<std::byte> encode(const step_state& state, tensor_role role);
void decode(std::span<const std::byte> bytes, tensor_role role, step_state& state);

/// What must agree when a checkpoint is loaded, as JSON: seed, and of each table name, freezing and
/// the options of the optimizer but for the learning rate, which runs.
std::string describe(std::span<const table_config> tables, const collection_options& options);

/// The configs of any collection.
template <typename Collection>
std::vector<table_config> configs_of(const Collection& collection) {
  std::vector<table_config> configs;
  for (std::size_t t = 0; t < collection.num_tables(); ++t) configs.push_back(collection.config(t));
  return configs;
}

/// A view of a matrix of a table or of a part of it.
template <typename Collection>
tensor_view matrix_of(Collection& collection, const checkpoint_tensor& tensor, std::size_t part) {
  return tensor.role == tensor_role::weight ? collection.weight(part)
                                            : collection.state(part, tensor.state);
}

/// What differs between two descriptions, in words; empty when nothing does. Throws corrupt_file
/// when `saved` is not a description.
std::string difference(const std::string& saved, const std::string& wanted);

/// Hash of shapes and metadata.
std::uint64_t header_checksum(std::span<const safetensors_entry> entries,
                              const safetensors_metadata& metadata);

}  // namespace warpbag::io
