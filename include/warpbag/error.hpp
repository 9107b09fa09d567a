// SPDX-License-Identifier: Apache-2.0
#pragma once
// The exceptions of warpbag. Types are part of the interface; the text of what() is for people and
// may change. A call that throws leaves tables, optimizer state and files as they were before it.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "warpbag/export.hpp"

namespace warpbag {

/// Root of every exception that warpbag throws.
class WARPBAG_EXPORT error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument that can never be right: sizes that do not match, an option outside its domain.
class WARPBAG_EXPORT invalid_argument : public error {
 public:
  using error::error;
};

/// Which lookup a batch failed at. `bag` and `position` count from 0 within the feature.
struct lookup_location {
  std::int32_t feature = -1;
  std::int32_t table = -1;
  std::int64_t bag = -1;
  std::int64_t position = -1;
  std::int64_t value = 0;
};

/// A batch whose contents are bad. Names the first offender: features in order, offsets before ids.
class WARPBAG_EXPORT bad_batch : public error {
 public:
  bad_batch(const std::string& what, lookup_location where) : error(what), where_(where) {}
  const lookup_location& where() const noexcept { return where_; }

 private:
  lookup_location where_;
};

/// An id outside [0, num_embeddings) under bad_id_policy::error. `value` is the id.
class WARPBAG_EXPORT id_out_of_range : public bad_batch {
 public:
  using bad_batch::bad_batch;
};

/// Offsets that do not start at 0, decrease, or run past the ids. `value` is the offset, `bag` its
/// index.
class WARPBAG_EXPORT bad_offsets : public bad_batch {
 public:
  using bad_batch::bad_batch;
};

/// An allocation failed; names the size and the device.
class WARPBAG_EXPORT bad_allocation : public error {
 public:
  using error::error;
};

/// A CUDA runtime call or a kernel failed; names the call and CUDA's own words.
class WARPBAG_EXPORT cuda_error : public error {
 public:
  using error::error;
};

/// A device was asked for that this build or machine does not have.
class WARPBAG_EXPORT device_unavailable : public error {
 public:
  using error::error;
};

/// A file could not be opened, read, written, synced or renamed.
class WARPBAG_EXPORT io_error : public error {
 public:
  using error::error;
};

/// A file was read whole but does not hold what its format promises.
class WARPBAG_EXPORT corrupt_file : public io_error {
 public:
  using io_error::io_error;
};

/// Ranks could not work together (warpbag/transport.hpp). Every live rank gets the same type; the
/// transport is closed.
class WARPBAG_EXPORT transport_error : public error {
 public:
  transport_error(const std::string& what, int rank) : error(what), rank_(rank) {}
  /// The rank at fault, as far as known; -1: not known.
  int rank() const noexcept { return rank_; }

 private:
  int rank_;
};

/// A rank died, closed the transport, or did not come within the deadline.
class WARPBAG_EXPORT rank_lost : public transport_error {
 public:
  using transport_error::transport_error;
};

/// Ranks made calls that do not fit each other: another operation, step, plan or size.
class WARPBAG_EXPORT rank_mismatch : public transport_error {
 public:
  using transport_error::transport_error;
};

/// A line of an input file could not be understood. `line` counts from 1.
class WARPBAG_EXPORT parse_error : public io_error {
 public:
  parse_error(const std::string& what, std::string file, std::int64_t line)
      : io_error(what), file_(std::move(file)), line_(line) {}
  const std::string& file() const noexcept { return file_; }
  std::int64_t line() const noexcept { return line_; }

 private:
  std::string file_;
  std::int64_t line_;
};

}  // namespace warpbag
