// SPDX-License-Identifier: Apache-2.0
#pragma once
// Raw tokens of a data file (user names, item codes, genre words) to dense ids.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/export.hpp"

namespace warpbag {

/// Gives token number n, in order of first appearance, the id n. Tokens are bytes: no encoding is
/// assumed, and every byte counts. Copies are deep. Reading from several threads is safe while none
/// adds.
class WARPBAG_EXPORT token_vocabulary {
 public:
  static constexpr std::uint32_t not_found = 0xFFFFFFFF;

  /// The id of `token`, which is added when it is new. Throws invalid_argument past 2^32 - 1
  /// tokens.
  std::uint32_t id_of(std::string_view token);

  /// The id of `token`, or `not_found`.
  std::uint32_t find(std::string_view token) const noexcept;

  /// The token of an id in [0, size()); throws invalid_argument for any other. The view lives until
  /// the next id_of().
  std::string_view token(std::uint32_t id) const;

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(ends_.size()); }

  /// All tokens, one after the other in the order of their ids, and where each ends: what to store.
  /// id_of() for each in that order makes the same vocabulary. Both live until the next id_of().
  std::string_view bytes() const noexcept { return bytes_; }
  std::span<const std::uint64_t> ends() const noexcept { return ends_; }

 private:
  struct slot {
    std::uint32_t tag;  // upper half of the token's hash: most mismatches end here
    std::uint32_t id;   // or not_found
  };

  std::string_view at(std::uint32_t id) const noexcept;
  std::size_t slot_of(std::string_view token, std::uint64_t hash) const noexcept;
  void grow();

  std::string bytes_;                // the tokens, one after the other
  std::vector<std::uint64_t> ends_;  // where each ends in bytes_
  std::vector<slot> slots_;          // open addressing; a power of two in size, at most half full
};

}  // namespace warpbag
