// SPDX-License-Identifier: Apache-2.0
#include "transport/pieces.hpp"

#include <algorithm>
#include <string>

namespace warpbag::ranks {
namespace {

template <class Piece>
std::vector<piece_size> sort_pieces(std::span<const Piece> pieces, int size, const char* what) {
  std::vector<piece_size> sizes;
  sizes.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    const bool bad_peer = piece.peer < 0 || piece.peer >= size;
    if (bad_peer || piece.bytes < 0 || (piece.bytes > 0 && piece.data == nullptr)) {
      throw invalid_argument(std::string("transport: ") + what + " " + std::to_string(i) +
                             " has peer " + std::to_string(piece.peer) + " of " +
                             std::to_string(size) + " ranks, " + std::to_string(piece.bytes) +
                             " bytes and " + (piece.data == nullptr ? "no memory" : "memory"));
    }
    if (piece.bytes > 0) sizes.push_back({piece.peer, piece.bytes, i});
  }
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const piece_size& a, const piece_size& b) { return a.peer < b.peer; });
  return sizes;
}

std::string between(int from, int to, const std::string& sent, const std::string& expected) {
  return "transport: rank " + std::to_string(from) + " sends " + sent + " to rank " +
         std::to_string(to) + ", which expects " + expected;
}

}  // namespace

std::vector<piece_size> sizes_by_peer(std::span<const send_piece> pieces, int size) {
  return sort_pieces(pieces, size, "send piece");
}

std::vector<piece_size> sizes_by_peer(std::span<const receive_piece> pieces, int size) {
  return sort_pieces(pieces, size, "receive piece");
}

std::span<const piece_size> of_peer(std::span<const piece_size> by_peer, int peer) {
  const auto range = std::ranges::equal_range(by_peer, peer, {}, &piece_size::peer);
  return {range.begin(), range.end()};
}

std::optional<failure> find_mismatch(int from, std::span<const std::int64_t> sent, int to,
                                     std::span<const std::int64_t> expected) {
  for (std::size_t i = 0; i < std::min(sent.size(), expected.size()); ++i) {
    if (sent[i] == expected[i]) continue;
    return failure{failure_kind::mismatch, from,
                   between(from, to, std::to_string(sent[i]) + " bytes",
                           std::to_string(expected[i]) + " bytes (piece " + std::to_string(i) +
                               " between them)")};
  }
  if (sent.size() == expected.size()) return std::nullopt;
  return failure{failure_kind::mismatch, from,
                 between(from, to, std::to_string(sent.size()) + " pieces with bytes",
                         std::to_string(expected.size()))};
}

std::vector<std::int64_t> bytes_of(std::span<const piece_size> pieces) {
  std::vector<std::int64_t> bytes;
  bytes.reserve(pieces.size());
  for (const piece_size& piece : pieces) bytes.push_back(piece.bytes);
  return bytes;
}

}  // namespace warpbag::ranks
