// SPDX-License-Identifier: Apache-2.0
#include "warpbag/checkpoint.hpp"

#include <algorithm>
#include <cmath>

#include "io/checkpoint_layout.hpp"
#include "io/checksum.hpp"
#include "io/file_system.hpp"
#include "warpbag/error.hpp"

namespace warpbag {

namespace {

using io::checkpoint_tensor;
using io::checksum;
using io::tensor_role;

constexpr std::uint64_t buffer_bytes = std::uint64_t{4} << 20;

/// Whole rows that fit the buffer, at least one.
template <typename Body>
void for_each_piece(const tensor_view& matrix, Body body) {
  const std::uint64_t row_bytes =
      static_cast<std::uint64_t>(matrix.dim) * static_cast<std::uint64_t>(size_of(matrix.type));
  const auto rows = static_cast<std::int64_t>(std::max<std::uint64_t>(1, buffer_bytes / row_bytes));
  for (std::int64_t first = 0; first < matrix.rows; first += rows) {
    tensor_view piece = matrix;
    piece.rows = std::min(rows, matrix.rows - first);
    const std::uint64_t begin = static_cast<std::uint64_t>(first) * row_bytes;
    piece.data = static_cast<std::byte*>(matrix.data) + begin;
    body(piece, begin, static_cast<std::size_t>(piece.rows) * row_bytes);
  }
}

bool is_reserved(std::string_view key) { return key.starts_with("warpbag."); }

/// The caller's part of the metadata of a file.
safetensors_metadata without_reserved(safetensors_metadata metadata) {
  std::erase_if(metadata, [](const auto& item) { return is_reserved(item.first); });
  return metadata;
}

std::string quoted(const std::filesystem::path& file) { return '\'' + file.string() + '\''; }

/// A file that is open and checked against itself and against a collection.
class checkpoint_file {
 public:
  explicit checkpoint_file(const std::filesystem::path& file) : file_(file), reader_(file) {
    check_header();
  }

  safetensors_metadata metadata() const { return without_reserved(reader_.metadata()); }

  void check_collection(embedding_bag_collection& collection) {
    const std::string difference =
        io::difference(reader_.metadata().at(io::collection_key), io::describe(collection));
    if (!difference.empty()) {
      throw invalid_argument("checkpoint " + quoted(file_) + ": " + difference);
    }
    tensors_ = io::tensors_of(collection);
    for (const checkpoint_tensor& tensor : tensors_) check_entry(tensor.entry);
    if (tensors_.size() + 1 != reader_.entries().size()) {
      throw invalid_argument("checkpoint " + quoted(file_) + ": " +
                             std::to_string(reader_.entries().size() - 1) +
                             " tensors, the collection has " + std::to_string(tensors_.size()));
    }
  }

  /// Reads everything; gathers the step states, which are the small tensors.
  void check_contents(std::size_t num_tables) {
    steps_.resize(num_tables);
    const auto entries = reader_.entries();
    for (std::size_t i = 0; i + 1 < entries.size(); ++i) {
      if (checksum_of(entries[i]) != checksums_[i]) corrupt(entries[i].name, "wrong checksum");
    }
    for (const checkpoint_tensor& tensor : tensors_) {
      if (tensor.role != tensor_role::matrix) read_number(tensor);
    }
  }

  void load(embedding_bag_collection& collection) {
    for (const checkpoint_tensor& tensor : tensors_) {
      if (tensor.role != tensor_role::matrix) continue;
      for_each_piece(tensor.matrix,
                     [&](const tensor_view& piece, std::uint64_t begin, std::size_t bytes) {
                       buffer_.resize(bytes);
                       reader_.read(tensor.entry.name, begin, buffer_);
                       collection.copy_from_host(buffer_.data(), piece);
                     });
    }
    for (std::size_t t = 0; t < steps_.size(); ++t) collection.set_step(t, steps_[t]);
  }

 private:
  [[noreturn]] void corrupt(const std::string& name, const std::string& fault) const {
    throw corrupt_file("checkpoint " + quoted(file_) + ": " + name + ": " + fault);
  }

  void check_header() {
    const auto entries = reader_.entries();
    const auto& metadata = reader_.metadata();
    const auto format = metadata.find(io::format_key);
    if (format == metadata.end() || !metadata.contains(io::collection_key)) {
      corrupt(io::format_key, "not there; no checkpoint of a collection");
    }
    if (format->second != io::format_version) {
      corrupt(io::format_key, '"' + format->second + "\", this version reads \"1\"");
    }
    if (entries.empty() || entries.back() != io::checksums_entry(entries.size() - 1)) {
      corrupt(io::checksums_name, "not there, not last or of the wrong shape");
    }
    checksums_.resize(entries.size());
    reader_.read(io::checksums_name, 0, std::as_writable_bytes(std::span(checksums_)));
    if (io::header_checksum(entries, metadata) != checksums_.back()) {
      corrupt("header", "wrong checksum");
    }
  }

  void check_entry(const safetensors_entry& wanted) const {
    const safetensors_entry* found = reader_.find(wanted.name);
    const std::string name = "checkpoint " + quoted(file_) + ": " + wanted.name;
    if (found == nullptr) throw invalid_argument(name + " is not there");
    if (found->type != wanted.type) {
      throw invalid_argument(name + " is " + std::string(to_string(found->type)) +
                             ", in the collection " + std::string(to_string(wanted.type)));
    }
    if (found->shape != wanted.shape) {
      throw invalid_argument(name + " is " + text_of(found->shape) + ", in the collection " +
                             text_of(wanted.shape));
    }
  }

  static std::string text_of(const std::vector<std::uint64_t>& shape) {
    std::string text;
    for (const std::uint64_t size : shape) {
      text += (text.empty() ? "[" : ", ") + std::to_string(size);
    }
    return text + ']';
  }

  std::uint64_t checksum_of(const safetensors_entry& entry) {
    checksum sum;
    const std::uint64_t bytes = entry.num_bytes();
    for (std::uint64_t begin = 0; begin < bytes; begin += buffer_bytes) {
      buffer_.resize(static_cast<std::size_t>(std::min(buffer_bytes, bytes - begin)));
      reader_.read(entry.name, begin, buffer_);
      sum.add(buffer_);
    }
    return sum.value();
  }

  void read_number(const checkpoint_tensor& tensor) {
    buffer_.resize(static_cast<std::size_t>(tensor.entry.num_bytes()));
    reader_.read(tensor.entry.name, 0, buffer_);
    step_state& state = steps_[tensor.table];
    io::decode(buffer_, tensor.role, state);
    const auto is_power = [](double x) { return x >= 0.0 && x <= 1.0; };
    const bool good = state.learning_rate >= 0.0F && std::isfinite(state.learning_rate) &&
                      is_power(state.beta1_power) && is_power(state.beta2_power);
    if (!good) corrupt(tensor.entry.name, "a number outside its domain");
  }

  std::filesystem::path file_;
  safetensors_reader reader_;
  std::vector<std::uint64_t> checksums_;
  std::vector<checkpoint_tensor> tensors_;
  std::vector<step_state> steps_;
  std::vector<std::byte> buffer_;
};

void write_matrix(embedding_bag_collection& collection, const tensor_view& matrix,
                  safetensors_writer& writer, checksum& sum) {
  std::vector<std::byte> buffer;
  for_each_piece(matrix, [&](const tensor_view& piece, std::uint64_t, std::size_t bytes) {
    buffer.resize(bytes);
    collection.copy_to_host(piece, buffer.data());
    sum.add(buffer);
    writer.write(buffer);
  });
}

safetensors_metadata with_reserved(safetensors_metadata metadata,
                                   const embedding_bag_collection& collection) {
  for (const auto& item : metadata) {
    if (is_reserved(item.first)) {
      throw invalid_argument("metadata key \"" + item.first + "\": \"warpbag.\" is reserved");
    }
  }
  metadata.emplace(io::format_key, io::format_version);
  metadata.emplace(io::collection_key, io::describe(collection));
  return metadata;
}

}  // namespace

void save_checkpoint(embedding_bag_collection& collection, const std::filesystem::path& file,
                     const safetensors_metadata& metadata) {
  save_checkpoint(collection, file, metadata, system_files());
}

void save_checkpoint(embedding_bag_collection& collection, const std::filesystem::path& file,
                     const safetensors_metadata& metadata, file_system& files) {
  collection.check();
  const safetensors_metadata all_metadata = with_reserved(metadata, collection);
  const std::vector<checkpoint_tensor> tensors = io::tensors_of(collection);
  std::vector<safetensors_entry> entries;
  for (const checkpoint_tensor& tensor : tensors) entries.push_back(tensor.entry);
  entries.push_back(io::checksums_entry(tensors.size()));

  safetensors_writer writer(file, entries, all_metadata, files);
  std::vector<std::uint64_t> checksums;
  for (const checkpoint_tensor& tensor : tensors) {
    checksum sum;
    if (tensor.role == tensor_role::matrix) {
      write_matrix(collection, tensor.matrix, writer, sum);
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
  checkpoint_file checkpoint(file);
  checkpoint.check_collection(collection);
  checkpoint.check_contents(collection.num_tables());
  checkpoint.load(collection);
  return checkpoint.metadata();
}

safetensors_metadata read_checkpoint_metadata(const std::filesystem::path& file) {
  return checkpoint_file(file).metadata();
}

}  // namespace warpbag
