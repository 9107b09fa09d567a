// SPDX-License-Identifier: Apache-2.0
#pragma once
// From tables, their ids and a machine to a sharding plan: predicted bytes, memory and time of
// every rank, why each table got its kind, and a proved bound on how far the plan is from the best.
//
// The model. A step is synchronous, so it takes as long as its busiest rank. A rank's time is
//   bytes to and from ranks of its node / intra_node.bandwidth
//   + bytes to and from other ranks    / inter_node.bandwidth
//   + messages * latency
//   + bytes of rows, states and sums that it reads and writes / memory_bandwidth
// What is sent is what src/planner/traffic.hpp counts; how much of it is expected comes from
// table_statistics. Nothing is assumed to overlap.

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "warpbag/id_sketch.hpp"
#include "warpbag/sharding_plan.hpp"
#include "warpbag/transport.hpp"

namespace warpbag {

/// A plan that does not fit in memory. The text says which table, and how many bytes are needed
/// and free where.
class WARPBAG_EXPORT capacity_error : public invalid_argument {
 public:
  capacity_error(const std::string& what, std::string table)
      : invalid_argument(what), table_(std::move(table)) {}
  const std::string& table() const noexcept { return table_; }

 private:
  std::string table_;
};

struct link_speed {
  double bandwidth = 0.0;  ///< bytes a second that a rank sends and receives, both together
  double latency = 0.0;    ///< seconds that each message of an exchange adds
};

/// The machine. Defaults of speeds: what the makers give for nodes of NVIDIA H100 SXM (HBM3 3.35
/// TB/s, NVLink 900 GB/s) with a 400 Gb/s network card each, and a guess at latencies;
/// measure_topology() measures instead.
struct topology {
  int num_ranks = 1;
  int ranks_per_node = 0;  ///< 0: one node; divides num_ranks
  std::int64_t memory_bytes = std::int64_t{64}
                              << 30;  ///< of each rank, for tables and their states
  double memory_bandwidth = 3.35e12;
  link_speed intra_node = {900e9, 1e-6};
  link_speed inter_node = {100e9, 2e-6};
};

/// Throws invalid_argument, naming the field, for sizes and speeds that are not positive.
WARPBAG_EXPORT void validate(const topology& machine);

/// Measures the speeds of `transport`'s ranks: copies in memory, and exchanges of small and large
/// pieces within and between nodes, a fraction of a second in all. Collective; every rank gets the
/// same answer: the slowest rank's. Throws what the transport throws.
WARPBAG_EXPORT topology measure_topology(transport& transport, int ranks_per_node,
                                         std::int64_t memory_bytes);

/// A feature that reads a table.
struct feature_statistics {
  double hotness = 1.0;  ///< mean lookups of a bag
  bool weighted = false;
  pooling_mode mode = pooling_mode::sum;
  dtype gradient_type = dtype::f32;  ///< of the bags' output gradients
  index_type ids_type = index_type::i64;
  bool weight_gradients = false;  ///< backward gives gradients of per_sample_weights
};

struct table_statistics {
  std::vector<feature_statistics> features = {{}};
  id_distribution ids;  ///< of the lookups of all features; its num_rows is the table's
};

/// The fixed part of messages. In every exchange each rank sends each other one a header, whatever
/// the plan.
struct header_costs {
  std::int64_t bytes = 96;            ///< of a header
  std::int64_t bytes_per_table = 16;  ///< in each header: the sizes of what follows
  std::int64_t exchanges = 3;         ///< of a step: requests, answers, partial sums
};
WARPBAG_EXPORT std::int64_t header_bytes(const header_costs& costs, int num_ranks,
                                         std::int64_t num_tables);

/// Bytes between different ranks in one step, all ranks together.
struct step_bytes {
  double forward = 0.0;
  double backward = 0.0;
};

/// Another way to hold a table, with everything else as planned.
struct table_alternative {
  std::string what = {};  ///< "column_wise in 4 pieces"
  bool fits = true;       ///< in memory
  double seconds = 0.0;   ///< of a step; where it fits
};

struct table_prediction {
  step_bytes bytes = {};
  std::vector<std::int64_t> memory_bytes = {};  ///< of each rank: rows, states, replicas
  double seconds = 0.0;  ///< what the table adds to the rank that it costs most
  std::string why = {};  ///< in words; of plan_sharding
  std::vector<table_alternative> alternatives = {};  ///< of plan_sharding, the quickest first
};

struct rank_prediction {
  double sent_bytes = 0.0;
  double received_bytes = 0.0;
  std::int64_t memory_bytes = 0;
  double seconds = 0.0;
};

struct step_prediction {
  std::vector<table_prediction> tables = {};  ///< as the tables are given
  std::vector<rank_prediction> ranks = {};
  step_bytes bytes = {};  ///< without headers
  std::int64_t header_bytes = 0;
  double seconds = 0.0;  ///< of the busiest rank
};

/// What a step of even batches is expected to cost under a plan. `statistics`: one for each table.
/// Throws invalid_argument for what does not fit together; does not check memory.
WARPBAG_EXPORT step_prediction predict_step(const sharding_plan& plan,
                                            std::span<const table_config> tables,
                                            std::span<const table_statistics> statistics,
                                            std::int64_t batch_per_rank, const topology& machine,
                                            const header_costs& headers = {});

struct planner_options {
  /// May choose row_exchange::partial_bags, whose sums depend on the number of ranks.
  bool allow_inexact = false;
  header_costs headers = {};
  /// Small cases are searched to the end; this is where it gives up. 0: never searched so.
  std::int64_t max_search_nodes = 200'000;
};

struct planning_result {
  sharding_plan plan = {};
  step_prediction prediction = {};
  double lower_bound = 0.0;  ///< seconds: no plan of the kinds that are considered takes less
  double gap = 0.0;          ///< prediction.seconds / lower_bound - 1
};

/// The quickest plan found that fits in memory. Considered for each table: whole on a rank, rows
/// over all ranks or over some, columns in 2, 4 or 8 pieces, on every rank, the hottest rows on
/// every rank, and with several nodes rows over a node and columns over nodes. Deterministic.
/// @throws invalid_argument, capacity_error
WARPBAG_EXPORT planning_result plan_sharding(std::span<const table_config> tables,
                                             std::span<const table_statistics> statistics,
                                             std::int64_t batch_per_rank, const topology& machine,
                                             const planner_options& options = {});

}  // namespace warpbag
