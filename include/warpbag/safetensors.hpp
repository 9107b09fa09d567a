// SPDX-License-Identifier: Apache-2.0
#pragma once
// The safetensors file format: 8 bytes of little-endian header length, a JSON header, the bytes of
// the tensors. https://github.com/huggingface/safetensors (format section of the README). Files of
// either side open on the other.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/export.hpp"

namespace warpbag {

class file_system;  // src/io/file_system.hpp: where tests make the disk fail

enum class safetensors_type : std::uint8_t { f16, bf16, f32, f64, i32, i64, u64, u8 };

WARPBAG_EXPORT std::size_t size_of(safetensors_type type) noexcept;

/// The name in the header: F16, BF16, F32, F64, I32, I64, U64, U8.
WARPBAG_EXPORT std::string_view to_string(safetensors_type type);

/// A tensor of a file: row-major, little-endian, without padding.
struct WARPBAG_EXPORT safetensors_entry {
  std::string name;
  safetensors_type type = safetensors_type::f32;
  std::vector<std::uint64_t> shape;  ///< empty: a scalar; a 0 in it: no elements

  /// Shape times element size. Throws invalid_argument when that does not fit 63 bits.
  std::uint64_t num_bytes() const;

  friend bool operator==(const safetensors_entry&, const safetensors_entry&) = default;
};

using safetensors_metadata = std::map<std::string, std::string>;

/// Writes a file front to back: all shapes first, then the bytes of the tensors in pieces of any
/// size, so a table is never copied. The bytes go to a temporary file beside `file`; commit() syncs
/// it, renames it over `file` and syncs the folder. Whatever fails before the rename, and if
/// commit() is never called, the temporary file is removed and an old `file` is intact.
class WARPBAG_EXPORT safetensors_writer {
 public:
  /// Tensors lie in the file in the order given. Throws invalid_argument for an empty, repeated or
  /// reserved ("__metadata__") name, a name or metadata that is not UTF-8, a shape that overflows
  /// or a header over 100 MB; io_error when the file cannot be made.
  safetensors_writer(const std::filesystem::path& file, std::vector<safetensors_entry> entries,
                     const safetensors_metadata& metadata);
  safetensors_writer(const std::filesystem::path& file, std::vector<safetensors_entry> entries,
                     const safetensors_metadata& metadata, file_system& files);
  ~safetensors_writer();
  safetensors_writer(safetensors_writer&&) noexcept;
  safetensors_writer& operator=(safetensors_writer&&) noexcept;

  /// The next bytes of the tensors, in order; a piece may end one tensor and begin the next.
  /// Throws invalid_argument when it is more than the shapes say; io_error when the disk fails.
  void write(std::span<const std::byte> bytes);

  /// Throws invalid_argument, naming the tensor, when bytes are missing; io_error when the disk
  /// fails.
  void commit();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Reads a file of any origin. The whole header is checked before anything is believed.
class WARPBAG_EXPORT safetensors_reader {
 public:
  /// Throws io_error when the file cannot be opened or read. Throws corrupt_file, naming file and
  /// tensor, for: a header longer than the file or 100 MB; invalid JSON, repeated keys; a missing,
  /// unknown or mistyped field; a type other than the above; a shape whose size overflows or is not
  /// that of the bytes; offsets that overlap, leave a hole, or end before or beyond the file.
  explicit safetensors_reader(const std::filesystem::path& file);
  ~safetensors_reader();
  safetensors_reader(safetensors_reader&&) noexcept;
  safetensors_reader& operator=(safetensors_reader&&) noexcept;

  /// In the order of their bytes in the file.
  std::span<const safetensors_entry> entries() const noexcept;
  const safetensors_metadata& metadata() const noexcept;

  /// nullptr when there is none of that name.
  const safetensors_entry* find(std::string_view name) const noexcept;

  /// Reads out.size() bytes from byte `begin` of the tensor on. Safe from several threads. Throws
  /// invalid_argument when there is no such tensor or the range is outside it; io_error when the
  /// disk fails, corrupt_file when the file became shorter.
  void read(std::string_view name, std::uint64_t begin, std::span<std::byte> out) const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace warpbag
