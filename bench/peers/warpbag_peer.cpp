// SPDX-License-Identifier: Apache-2.0
// The library behind C calls, for compare.py: what its ctypes calls cost is part of what is
// measured for warpbag, as torch's calls are for torch.
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "warpbag/collection.hpp"

namespace {

using namespace warpbag;

thread_local std::string last_error;

/// Tables of one feature each, with the views of the calls kept between them.
struct peer {
  std::unique_ptr<embedding_bag_collection> collection;
  std::vector<jagged_view> bags;
  std::vector<tensor_view> outputs;
  std::vector<const_tensor_view> gradients;
};

template <typename Body>
int guarded(Body&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& problem) {
    last_error = problem.what();
    return 1;
  }
}

}  // namespace

extern "C" {

/// weights: nullptr: none. hotness > 0: fixed, and offsets is not read; else offsets is [num_bags +
/// 1].
struct peer_bags {
  const std::int64_t* ids;
  const std::int64_t* offsets;
  const float* weights;
  std::int64_t num_ids;
  std::int64_t num_bags;
  std::int64_t hotness;
};

WARPBAG_EXPORT const char* peer_last_error() { return last_error.c_str(); }

/// nullptr: see peer_last_error. weights[t]: [rows[t], dims[t]] of `type`, copied.
WARPBAG_EXPORT peer* peer_create(int num_tables, const std::int64_t* rows, const std::int64_t* dims,
                                 const void* const* weights, int type, int pooling, int optimizer,
                                 float learning_rate, float eps, int threads) {
  auto made = std::make_unique<peer>();
  const int failed = guarded([&] {
    std::vector<table_config> tables;
    std::vector<feature_config> features;
    for (int t = 0; t < num_tables; ++t) {
      table_config table = {.name = "t" + std::to_string(t),
                            .num_embeddings = rows[t],
                            .embedding_dim = dims[t],
                            .type = static_cast<dtype>(type)};
      table.optimizer = {.kind = static_cast<optimizer_kind>(optimizer),
                         .learning_rate = learning_rate,
                         .eps = eps};
      table.pretrained = {weights[t], table.type, rows[t], dims[t]};
      features.push_back({table.name, table.name, static_cast<pooling_mode>(pooling)});
      tables.push_back(std::move(table));
    }
    const auto count = static_cast<std::size_t>(num_tables);
    made->bags.resize(count);
    made->outputs.resize(count);
    made->gradients.resize(count);
    made->collection = std::make_unique<embedding_bag_collection>(
        std::move(tables), std::move(features), resources{.num_threads = threads});
  });
  return failed != 0 ? nullptr : made.release();
}

WARPBAG_EXPORT void peer_destroy(peer* peer) { delete peer; }

/// The batch of the calls that follow; its memory is read by them. outputs[t] and gradients[t]:
/// [bags or (pooling none) ids, dim], contiguous, of the tables' type.
WARPBAG_EXPORT void peer_set_batch(peer* peer, const peer_bags* bags, void* const* outputs,
                                   const void* const* gradients) {
  for (std::size_t t = 0; t < peer->bags.size(); ++t) {
    const peer_bags& from = bags[t];
    const index_view ids(from.ids, from.num_ids);
    peer->bags[t] = from.hotness > 0
                        ? jagged_view::fixed(ids, from.num_bags, from.hotness, from.weights)
                        : jagged_view::csr(ids, index_view(from.offsets, from.num_bags + 1), true,
                                           from.weights);
    const table_config& table = peer->collection->config(t);
    const bool pooled = peer->collection->feature(t).mode != pooling_mode::none;
    const std::int64_t rows = pooled ? from.num_bags : from.num_ids;
    peer->outputs[t] = {outputs[t], table.type, rows, table.embedding_dim};
    peer->gradients[t] = {gradients[t], table.type, rows, table.embedding_dim};
  }
}

/// These return 0, or not 0: see peer_last_error.
WARPBAG_EXPORT int peer_forward(peer* peer) {
  return guarded([&] { peer->collection->forward(peer->bags, peer->outputs); });
}
WARPBAG_EXPORT int peer_backward(peer* peer) {
  return guarded([&] { peer->collection->backward(peer->bags, peer->gradients); });
}

WARPBAG_EXPORT int peer_copy_weight(peer* peer, int table, void* host) {
  return guarded([&] {
    peer->collection->copy_to_host(peer->collection->weight(static_cast<std::size_t>(table)), host);
  });
}
}
