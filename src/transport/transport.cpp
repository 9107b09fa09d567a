// SPDX-License-Identifier: Apache-2.0
// Collectives in terms of all_to_all_v. Reductions run on the host, in rank order.
#include "warpbag/transport.hpp"

#include <cstddef>
#include <string>

namespace warpbag {
namespace {

std::int64_t size_of(reduce_type type) { return type == reduce_type::f32 ? 4 : 8; }

template <class Element>
Element reduced(Element a, Element b, reduce_operation operation) {
  switch (operation) {
    case reduce_operation::min: return b < a ? b : a;
    case reduce_operation::max: return a < b ? b : a;
    case reduce_operation::sum: break;
  }
  if constexpr (std::is_integral_v<Element>) {  // wraps, as the sum of a GPU does
    return static_cast<Element>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  } else {
    return a + b;
  }
}

/// result = parts[0] op parts[1] op ..., from the left.
template <class Element>
void reduce_parts(std::span<const Element> parts, std::span<Element> result,
                  reduce_operation operation) {
  for (std::size_t i = 0; i < result.size(); ++i) {
    Element value = parts[i];
    for (std::size_t k = i + result.size(); k < parts.size(); k += result.size()) {
      value = reduced(value, parts[k], operation);
    }
    result[i] = value;
  }
}

/// Gets part `rank` of every rank and reduces it.
template <class Element>
void reduce_scatter(transport& ranks, const Element* data, std::span<const std::int64_t> counts,
                    Element* result, reduce_operation operation) {
  const auto size = static_cast<std::size_t>(ranks.size());
  const auto own = static_cast<std::size_t>(counts[static_cast<std::size_t>(ranks.rank())]);
  std::vector<Element> parts(size * own);
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (std::size_t r = 0; r < size; ++r) {
    const auto bytes = static_cast<std::int64_t>(sizeof(Element));
    sends.push_back({static_cast<int>(r), data, counts[r] * bytes});
    receives.push_back(
        {static_cast<int>(r), parts.data() + r * own, static_cast<std::int64_t>(own) * bytes});
    data += counts[r];
  }
  ranks.all_to_all_v(sends, receives);
  reduce_parts<Element>(parts, {result, own}, operation);
}

}  // namespace

void transport::all_gather_v(const void* data, std::int64_t bytes,
                             std::span<const receive_piece> received) {
  if (received.size() != static_cast<std::size_t>(size())) {
    throw invalid_argument("transport: all_gather_v with " + std::to_string(received.size()) +
                           " pieces to receive on " + std::to_string(size()) + " ranks");
  }
  std::vector<send_piece> sends;
  for (int r = 0; r < size(); ++r) {
    if (const int peer = received[static_cast<std::size_t>(r)].peer; peer != r) {
      throw invalid_argument("transport: all_gather_v, piece " + std::to_string(r) +
                             " to receive names rank " + std::to_string(peer));
    }
    sends.push_back({r, data, bytes});
  }
  all_to_all_v(sends, received);
}

void transport::reduce_scatter_v(const void* data, std::span<const std::int64_t> counts,
                                 void* result, reduce_type type, reduce_operation operation) {
  if (where().kind == device_kind::cuda) {
    throw invalid_argument("transport: this one cannot reduce in memory of a GPU");
  }
  if (counts.size() != static_cast<std::size_t>(size())) {
    throw invalid_argument("transport: reduce_scatter_v with " + std::to_string(counts.size()) +
                           " counts on " + std::to_string(size()) + " ranks");
  }
  for (const std::int64_t count : counts) {
    if (count < 0) {
      throw invalid_argument("transport: reduce_scatter_v of " + std::to_string(count) +
                             " elements");
    }
  }
  const auto run = [&]<class Element>(Element* out) {
    reduce_scatter(*this, static_cast<const Element*>(data), counts, out, operation);
  };
  switch (type) {
    case reduce_type::f32: return run(static_cast<float*>(result));
    case reduce_type::f64: return run(static_cast<double*>(result));
    case reduce_type::i64: return run(static_cast<std::int64_t*>(result));
  }
}

void transport::all_reduce(void* data, std::int64_t count, reduce_type type,
                           reduce_operation operation) {
  if (count < 0) {
    throw invalid_argument("transport: all_reduce of " + std::to_string(count) + " elements");
  }
  // Each rank reduces one part and gives it to all: 2 (n - 1) / n of the data leaves every rank,
  // where sending everything to everybody would be n - 1 times the data.
  const std::int64_t ranks = size();
  std::vector<std::int64_t> counts;
  std::vector<receive_piece> parts;
  auto* bytes = static_cast<std::byte*>(data);
  for (int r = 0; r < size(); ++r) {
    counts.push_back(count / ranks + (r < count % ranks ? 1 : 0));
    parts.push_back({r, bytes, counts.back() * size_of(type)});
    bytes += parts.back().bytes;
  }
  const receive_piece& own = parts[static_cast<std::size_t>(rank())];
  reduce_scatter_v(data, counts, own.data, type, operation);
  all_gather_v(own.data, own.bytes, parts);
}

void transport::broadcast(void* data, std::int64_t bytes, int root) {
  if (root < 0 || root >= size()) {
    throw invalid_argument("transport: broadcast from rank " + std::to_string(root) + " of " +
                           std::to_string(size()));
  }
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  if (rank() != root) receives.push_back({root, data, bytes});
  for (int r = 0; rank() == root && r < size(); ++r) {
    if (r != root) sends.push_back({r, data, bytes});
  }
  all_to_all_v(sends, receives);
}

}  // namespace warpbag
