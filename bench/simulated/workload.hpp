// SPDX-License-Identifier: Apache-2.0
#pragma once
// Workloads of bench/sim_counters: tables, and ids drawn for them.

#include <cstdint>
#include <string>
#include <vector>

#include "warpbag/types.hpp"

namespace warpbag::simulated {

struct workload {
  // One number a table; the last one stands for the tables after it.
  std::vector<std::int64_t> rows = {500'000};
  std::vector<std::int64_t> dim = {128};
  std::vector<std::int64_t> hotness = {16};
  std::int64_t tables = 1;
  std::int64_t batch = 4096;
  double alpha = 1.15;  // of the power law; 0: uniform. Negative: every id is 0
  bool csr = true;      // lengths uniform in 0 ... 2 hotness; else all are hotness
  bool weighted = false;
  bool padded = false;   // row 0 is padding_idx
  bool backward = true;  // else forward alone
  dtype type = dtype::f32;
  index_type ids = index_type::i32;
  pooling_mode mode = pooling_mode::sum;

  std::int64_t at(const std::vector<std::int64_t>& numbers, std::int64_t table) const;
};

/// From arguments like "rows=1000,50". Throws std::invalid_argument naming what it does not know.
workload parse_workload(const std::vector<std::string>& arguments);

/// The ids and offsets of one table's feature.
struct drawn_bags {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets;  // [batch + 1]
};

/// Ids follow cuEmbed's bounded power law, P(id = k) close to proportional to (k + 1)^-alpha, and
/// are distinct within a bag where the table makes that easy.
drawn_bags draw_bags(const workload& load, std::int64_t table);

/// What no implementation does without.
struct floors {
  std::int64_t lookups = 0;
  std::int64_t unique_rows = 0;
  std::int64_t hottest = 0;  // lookups of the most frequent row
  std::int64_t bags = 0;
  std::int64_t forward_read_bytes = 0;   // unique rows, ids, offsets, weights
  std::int64_t forward_write_bytes = 0;  // outputs
  // With rowwise Adagrad, besides ids and their sort: gradients of bags, unique rows and states,
  // these twice.
  std::int64_t backward_read_bytes = 0;
  std::int64_t backward_write_bytes = 0;
};

void add_floors(const workload& load, std::int64_t table, const drawn_bags& drawn, floors& sum);

}  // namespace warpbag::simulated
