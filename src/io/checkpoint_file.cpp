// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint_file.hpp"

#include <algorithm>
#include <cmath>

#include "io/checksum.hpp"
#include "warpbag/error.hpp"

namespace warpbag::io {

namespace {

std::string quoted(const std::filesystem::path& file) { return '\'' + file.string() + '\''; }

std::string text_of(const std::vector<std::uint64_t>& shape) {
  std::string text;
  for (const std::uint64_t size : shape) {
    text += (text.empty() ? "[" : ", ") + std::to_string(size);
  }
  return text + ']';
}

}  // namespace

std::uint64_t checksum_of(const safetensors_reader& file, const safetensors_entry& tensor) {
  checksum sum;
  std::vector<std::byte> buffer;
  const std::uint64_t bytes = tensor.num_bytes();
  for (std::uint64_t begin = 0; begin < bytes; begin += checkpoint_buffer_bytes) {
    buffer.resize(static_cast<std::size_t>(std::min(checkpoint_buffer_bytes, bytes - begin)));
    file.read(tensor.name, begin, buffer);
    sum.add(buffer);
  }
  return sum.value();
}

checkpoint_file::checkpoint_file(const std::filesystem::path& file) : file_(file), reader_(file) {
  check_header();
}

safetensors_metadata checkpoint_file::metadata() const {
  safetensors_metadata metadata = reader_.metadata();
  std::erase_if(metadata, [](const auto& item) { return item.first.starts_with("warpbag."); });
  return metadata;
}

void checkpoint_file::check_tables(std::span<const table_config> tables,
                                   const collection_options& options) {
  const std::string found =
      difference(reader_.metadata().at(collection_key), describe(tables, options));
  if (!found.empty()) throw invalid_argument("checkpoint " + quoted(file_) + ": " + found);
  tensors_ = tensors_of(tables);
  for (const checkpoint_tensor& tensor : tensors_) check_entry(tensor.entry);
  if (tensors_.size() + 1 != reader_.entries().size()) {
    throw invalid_argument("checkpoint " + quoted(file_) + ": " +
                           std::to_string(reader_.entries().size() - 1) +
                           " tensors, the collection has " + std::to_string(tensors_.size()));
  }
}

void checkpoint_file::check_contents(std::size_t tensor) {
  const safetensors_entry& entry = reader_.entries()[tensor];
  if (checksum_of(reader_, entry) != checksums_[tensor]) corrupt(entry.name, "wrong checksum");
}

std::vector<step_state> checkpoint_file::read_steps(std::size_t num_tables) {
  std::vector<step_state> steps(num_tables);
  for (const checkpoint_tensor& tensor : tensors_) {
    if (is_matrix(tensor.role)) continue;
    std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.entry.num_bytes()));
    reader_.read(tensor.entry.name, 0, bytes);
    step_state& state = steps[tensor.table];
    decode(bytes, tensor.role, state);
    const auto is_power = [](double x) { return x >= 0.0 && x <= 1.0; };
    const bool good = state.learning_rate >= 0.0F && std::isfinite(state.learning_rate) &&
                      is_power(state.beta1_power) && is_power(state.beta2_power);
    if (!good) corrupt(tensor.entry.name, "a number outside its domain");
  }
  return steps;
}

void checkpoint_file::corrupt(const std::string& name, const std::string& fault) const {
  throw corrupt_file("checkpoint " + quoted(file_) + ": " + name + ": " + fault);
}

void checkpoint_file::check_header() {
  const auto entries = reader_.entries();
  const auto& metadata = reader_.metadata();
  const auto format = metadata.find(format_key);
  if (format == metadata.end() || !metadata.contains(collection_key)) {
    corrupt(format_key, "not there; no checkpoint of a collection");
  }
  if (format->second != format_version) {
    corrupt(format_key, '"' + format->second + "\", this version reads \"1\"");
  }
  if (entries.empty() || entries.back() != checksums_entry(entries.size() - 1)) {
    corrupt(checksums_name, "not there, not last or of the wrong shape");
  }
  checksums_.resize(entries.size());
  reader_.read(checksums_name, 0, std::as_writable_bytes(std::span(checksums_)));
  if (header_checksum(entries, metadata) != checksums_.back()) {
    corrupt("header", "wrong checksum");
  }
}

void checkpoint_file::check_entry(const safetensors_entry& wanted) const {
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

}  // namespace warpbag::io
