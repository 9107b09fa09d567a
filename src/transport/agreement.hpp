// SPDX-License-Identifier: Apache-2.0
#pragma once
// How ranks make sure that they are in the same call before any of them acts on it. It is above
// every transport and the same for all of them: each rank tells each other rank what it is about to
// do, whether its own input was bad, and a payload (how many rows it wants, say).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collection/device_buffer.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::ranks {

struct call_header {
  // These three must agree.
  std::uint64_t step = 0;
  std::uint32_t operation = 0;
  std::uint64_t schema = 0;  // a hash of what must be the same on all ranks (tables, plan)
  // What this rank has to say.
  std::uint32_t fault = 0;  // 0: none, 1: a bad id, 2: bad offsets, 3: another error of this rank
  lookup_location where = {};
  std::int64_t limit = 0;
  friend bool operator==(const call_header& a, const call_header& b);
};

/// Bytes of a message besides its payload: the payload's size, a header of ten words, a checksum.
inline constexpr std::int64_t frame_bytes = 12 * 8;

class agreement {
 public:
  using name_of_operation = std::string_view (*)(std::uint32_t operation);

  /// `staging` works on memory of ranks.where(), in the order of ranks.stream(); messages go
  /// through buffers that it allocates, which grow and never shrink. `name_of`, if not nullptr,
  /// makes errors readable. All must outlive this.
  agreement(transport& ranks, operations::device_access& staging,
            name_of_operation name_of = nullptr);

  /// Collective. Sends to_each[r] to rank r and fills from_each[r] with what rank r sends here;
  /// the caller has sized from_each[r] to that (0 is a size). Returns the headers of all ranks, in
  /// order; it judges no fault in them. One all_to_all_v, then transport::wait().
  /// When step, operation or schema (of ranks without a fault) differ, every rank aborts the
  /// transport and throws the same rank_mismatch. A message whose length or checksum is wrong does
  /// so in the rank that got it, and in the others' next call.
  std::vector<call_header> exchange(const call_header& mine,
                                    std::span<const std::vector<std::int64_t>> to_each,
                                    std::vector<std::vector<std::int64_t>>& from_each);

 private:
  void grow(std::size_t send_words, std::size_t receive_words);
  std::vector<call_header> unpack(std::span<const std::int64_t> messages,
                                  std::vector<std::vector<std::int64_t>>& from_each);
  void check_same_call(std::span<const call_header> headers);
  [[noreturn]] void fail(int rank, const std::string& words);

  transport& ranks_;
  operations::device_access& staging_;
  name_of_operation name_of_;
  collection::device_buffer sent_;
  collection::device_buffer received_;
};

}  // namespace warpbag::ranks
