// SPDX-License-Identifier: Apache-2.0
#pragma once
// Memory and backends whose needs change from step to step: they grow, with room to spare, and
// never shrink.

#include <memory>

#include "collection/call_records.hpp"
#include "collection/device_buffer.hpp"
#include "operations/backend.hpp"
#include "operations/device_access.hpp"

namespace warpbag::sharding {

/// Memory of the device whose contents the caller replaces each time.
class working_memory {
 public:
  explicit working_memory(operations::device_access& access) : access_(&access) {}

  /// Room for `count` elements; what was there is lost. Throws bad_allocation.
  template <typename Element>
  Element* get(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(Element);
    if (bytes > buffer_.bytes()) {
      buffer_ = {};
      buffer_ = collection::device_buffer(*access_, bytes + bytes / 4);
    }
    return buffer_.as<Element>();
  }
  std::byte* get_bytes(std::int64_t count) { return get<std::byte>(count); }

 private:
  operations::device_access* access_;
  collection::device_buffer buffer_;
};

/// Cuts one block of memory into aligned pieces: first all sizes, then one allocation.
class memory_cut {
 public:
  /// Offset of the piece.
  template <typename Element>
  std::int64_t add(std::int64_t count) {
    const std::int64_t offset = bytes_;
    constexpr std::int64_t alignment = 256;
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(Element));
    bytes_ += (bytes + alignment - 1) / alignment * alignment;
    return offset;
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

class working_backend {
 public:
  explicit working_backend(const resources& resources);

  /// The backend, with room for this call.
  operations::backend& prepared(const collection::call_records& call, bool routed = false);
  operations::backend& get() { return *backend_; }

 private:
  std::unique_ptr<operations::backend> backend_;
  operations::problem_limits limits_;
};

/// Sets the running sums (first_row, first_position, first_bag) and the totals of records that are
/// made here and not of a caller's views.
void lay_out(collection::call_records& call);

/// A feature that looks up each row once, for itself: one bag and one output row per id.
operations::feature_record row_list(std::size_t table, const std::int64_t* rows,
                                    std::int64_t count);

/// A feature that sums rows: bag b is ids[offsets[b]] to ids[offsets[b + 1] - 1].
operations::feature_record bag_list(std::size_t table, const std::int64_t* ids,
                                    std::int64_t num_ids, const std::int64_t* offsets,
                                    std::int64_t num_bags);

}  // namespace warpbag::sharding
