// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sizes of one rank's pieces in one call, and whether two ranks' sizes fit each other.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "transport/failure.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::ranks {

/// A piece with bytes; `index`: of the piece in the caller's list.
struct piece_size {
  int peer = 0;
  std::int64_t bytes = 0;
  std::size_t index = 0;
};

/// Pieces with bytes by peer, those of one peer in their order. Throws invalid_argument for a peer
/// outside [0, size), a negative size, and bytes without memory.
std::vector<piece_size> sizes_by_peer(std::span<const send_piece> pieces, int size);
std::vector<piece_size> sizes_by_peer(std::span<const receive_piece> pieces, int size);

/// The part of `by_peer` that is `peer`'s.
std::span<const piece_size> of_peer(std::span<const piece_size> by_peer, int peer);

/// What does not fit between the sizes that `from` sends to `to` and those that `to` expects; the
/// failure names `from`.
std::optional<failure> find_mismatch(int from, std::span<const std::int64_t> sent, int to,
                                     std::span<const std::int64_t> expected);
std::vector<std::int64_t> bytes_of(std::span<const piece_size> pieces);

}  // namespace warpbag::ranks
