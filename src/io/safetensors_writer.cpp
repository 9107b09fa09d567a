// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "io/atomic_file.hpp"
#include "io/safetensors_header.hpp"
#include "warpbag/error.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag {

struct safetensors_writer::state {
  state(const std::filesystem::path& file, std::vector<safetensors_entry> entries_,
        file_system& files)
      : entries(std::move(entries_)), output(file, files) {
    for (const safetensors_entry& entry : entries) num_bytes += entry.num_bytes();
  }

  std::vector<safetensors_entry> entries;
  io::atomic_file output;
  std::uint64_t num_bytes = 0;
  std::uint64_t num_written = 0;
};

safetensors_writer::safetensors_writer(const std::filesystem::path& file,
                                       std::vector<safetensors_entry> entries,
                                       const safetensors_metadata& metadata)
    : safetensors_writer(file, std::move(entries), metadata, system_files()) {}

safetensors_writer::safetensors_writer(const std::filesystem::path& file,
                                       std::vector<safetensors_entry> entries,
                                       const safetensors_metadata& metadata, file_system& files) {
  const std::string header = io::write_header(entries, metadata);
  state_ = std::make_unique<state>(file, std::move(entries), files);
  state_->output.write(std::as_bytes(std::span(header)));
}

safetensors_writer::~safetensors_writer() = default;
safetensors_writer::safetensors_writer(safetensors_writer&&) noexcept = default;
safetensors_writer& safetensors_writer::operator=(safetensors_writer&&) noexcept = default;

void safetensors_writer::write(std::span<const std::byte> bytes) {
  if (bytes.size() > state_->num_bytes - state_->num_written) {
    throw invalid_argument("a piece of " + std::to_string(bytes.size()) + " bytes, but only " +
                           std::to_string(state_->num_bytes - state_->num_written) +
                           " are left of all tensors");
  }
  state_->output.write(bytes);
  state_->num_written += bytes.size();
}

void safetensors_writer::commit() {
  std::uint64_t end = 0;
  for (const safetensors_entry& entry : state_->entries) {
    end += entry.num_bytes();
    if (state_->num_written < end) {
      throw invalid_argument("tensor '" + entry.name + "' lacks " +
                             std::to_string(end - state_->num_written) + " bytes");
    }
  }
  state_->output.commit();
}

}  // namespace warpbag
