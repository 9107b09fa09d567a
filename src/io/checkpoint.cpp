// SPDX-License-Identifier: Apache-2.0
#include "warpbag/checkpoint.hpp"

#include "io/checkpoint_file.hpp"
#include "io/checksum.hpp"
#include "io/file_system.hpp"

namespace warpbag {

namespace {

using io::checkpoint_tensor;
using io::checksum;

void write_matrix(embedding_bag_collection& collection, const tensor_view& matrix,
                  safetensors_writer& writer, checksum& sum) {
  std::vector<std::byte> buffer;
  io::for_each_piece(matrix, [&](std::int64_t, const tensor_view& piece) {
    buffer.resize(static_cast<std::size_t>(piece.rows * piece.dim) * size_of(piece.type));
    collection.copy_to_host(piece, buffer.data());
    sum.add(buffer);
    writer.write(buffer);
  });
}

}  // namespace

void save_checkpoint(embedding_bag_collection& collection, const std::filesystem::path& file,
                     const safetensors_metadata& metadata) {
  save_checkpoint(collection, file, metadata, system_files());
}

void save_checkpoint(embedding_bag_collection& collection, const std::filesystem::path& file,
                     const safetensors_metadata& metadata, file_system& files) {
  collection.check();
  const std::vector<table_config> tables = io::configs_of(collection);
  const safetensors_metadata all_metadata =
      io::with_reserved(metadata, io::describe(tables, collection.options()));
  const std::vector<checkpoint_tensor> tensors = io::tensors_of(tables);
  const std::vector<safetensors_entry> entries = io::entries_of(tensors);

  safetensors_writer writer(file, entries, all_metadata, files);
  std::vector<std::uint64_t> checksums;
  for (const checkpoint_tensor& tensor : tensors) {
    checksum sum;
    if (io::is_matrix(tensor.role)) {
      write_matrix(collection, io::matrix_of(collection, tensor, tensor.table), writer, sum);
    } else {
      const auto bytes = io::encode(collection.step_of(tensor.table), tensor.role);
      sum.add(bytes);
      writer.write(bytes);
    }
    checksums.push_back(sum.value());
  }
  checksums.push_back(io::header_checksum(entries, all_metadata));
  writer.write(std::as_bytes(std::span(checksums)));
  writer.commit();
}

safetensors_metadata load_checkpoint(embedding_bag_collection& collection,
                                     const std::filesystem::path& file) {
  io::checkpoint_file checkpoint(file);
  checkpoint.check_tables(io::configs_of(collection), collection.options());
  for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) checkpoint.check_contents(i);
  const std::vector<step_state> steps = checkpoint.read_steps(collection.num_tables());
  std::vector<std::byte> buffer;
  for (const checkpoint_tensor& tensor : checkpoint.tensors()) {
    if (!io::is_matrix(tensor.role)) continue;
    const tensor_view matrix = io::matrix_of(collection, tensor, tensor.table);
    io::for_each_piece(matrix, [&](std::int64_t first, const tensor_view& piece) {
      const std::size_t row_bytes = static_cast<std::size_t>(piece.dim) * size_of(piece.type);
      buffer.resize(static_cast<std::size_t>(piece.rows) * row_bytes);
      checkpoint.read(tensor, static_cast<std::uint64_t>(first) * row_bytes, buffer);
      collection.copy_from_host(buffer.data(), piece);
    });
  }
  for (std::size_t t = 0; t < steps.size(); ++t) collection.set_step(t, steps[t]);
  return checkpoint.metadata();
}

safetensors_metadata read_checkpoint_metadata(const std::filesystem::path& file) {
  return io::checkpoint_file(file).metadata();
}

}  // namespace warpbag
