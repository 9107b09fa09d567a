// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is measured: tables, one feature each, and the law of their ids.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/id_law.hpp"
#include "warpbag/optimizer.hpp"
#include "warpbag/types.hpp"

namespace warpbag::bench {

/// fixed: every bag holds `hotness` ids and there are no offsets. jagged: 0 ... 2 * hotness ids,
/// uniformly. one_long: bags of 0 and 1 ids in turn, but the middle one holds so many that the mean
/// is `hotness`.
enum class bag_shape : std::uint8_t { fixed, jagged, one_long };
std::string_view to_string(bag_shape shape);

struct workload_table {
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::int64_t hotness = 0;
};

struct workload {
  std::string name = {};
  std::vector<workload_table> tables = {};
  std::int64_t batch = 512;
  dtype type = dtype::f32;  // of rows, outputs and gradients
  index_type ids = index_type::i64;
  pooling_mode pooling = pooling_mode::sum;
  bool weighted = false;
  optimizer_options optimizer = {.kind = optimizer_kind::rowwise_adagrad};
  bool scale_grad_by_freq = false;
  id_law law = id_law::uniform;
  double alpha = 0.0;
  bag_shape shape = bag_shape::fixed;
  double bad_share = 0.0;    // of ids, out of range; the policy is then `skip`
  bool all_padding = false;  // every id is the padding row
  std::uint64_t seed = 1;
};

/// Names of the workloads that this file's sources know.
std::vector<std::string_view> workload_names();
/// A name stands for one workload, or for a sweep of some: NAME[i] is its i-th point alone. Throws
/// invalid_argument.
std::vector<workload> named_workloads(std::string_view name);

/// Weights and optimizer states.
double table_bytes(const workload& workload);
/// The same with fewer rows where the tables would be over `bytes`: rows of all tables of over 1000
/// rows are cut in proportion, down to 1000.
workload fitted(workload workload, double bytes);
/// rows x factor in tables of over 1000 rows, down to 1000.
workload scaled(workload workload, double factor);

}  // namespace warpbag::bench
