// SPDX-License-Identifier: Apache-2.0
#pragma once
// A checkpoint that is open for reading.

#include <filesystem>
#include <vector>

#include "io/checkpoint_layout.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag::io {

/// Bytes that go through memory at once.
inline constexpr std::uint64_t checkpoint_buffer_bytes = std::uint64_t{4} << 20;

/// body(first, piece) for pieces of whole rows that fit the buffer (one row at least); `first`: the
/// piece's first row.
template <typename Body>
void for_each_piece(const tensor_view& matrix, Body body) {
  const std::uint64_t row_bytes =
      static_cast<std::uint64_t>(matrix.dim) * static_cast<std::uint64_t>(size_of(matrix.type));
  const auto rows =
      static_cast<std::int64_t>(std::max<std::uint64_t>(1, checkpoint_buffer_bytes / row_bytes));
  for (std::int64_t first = 0; first < matrix.rows; first += rows) {
    tensor_view piece = matrix;
    piece.rows = std::min(rows, matrix.rows - first);
    piece.data =
        static_cast<std::byte*>(matrix.data) + static_cast<std::uint64_t>(first) * row_bytes;
    body(first, piece);
  }
}

/// Reads the whole tensor.
std::uint64_t checksum_of(const safetensors_reader& file, const safetensors_entry& tensor);

class checkpoint_file {
 public:
  /// Checks the header. Throws io_error, corrupt_file.
  explicit checkpoint_file(const std::filesystem::path& file);

  /// The caller's part of the metadata.
  safetensors_metadata metadata() const;

  /// Throws invalid_argument, naming what differs, unless it is a checkpoint of such tables.
  void check_tables(std::span<const table_config> tables, const collection_options& options);

  // After check_tables:
  const std::vector<checkpoint_tensor>& tensors() const { return tensors_; }
  /// Reads the whole tensor. Throws corrupt_file when its checksum is another.
  void check_contents(std::size_t tensor);
  /// The step_state of each table. Throws corrupt_file for numbers outside their domain.
  std::vector<step_state> read_steps(std::size_t num_tables);
  void read(const checkpoint_tensor& tensor, std::uint64_t begin, std::span<std::byte> out) const {
    reader_.read(tensor.entry.name, begin, out);
  }

 private:
  [[noreturn]] void corrupt(const std::string& name, const std::string& fault) const;
  void check_header();
  void check_entry(const safetensors_entry& wanted) const;

  std::filesystem::path file_;
  safetensors_reader reader_;
  std::vector<std::uint64_t> checksums_;
  std::vector<checkpoint_tensor> tensors_;
};

}  // namespace warpbag::io
