// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which factorization machine: everything that its weights and their training depend on apart from
// the batches.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "warpbag/dataset.hpp"
#include "warpbag/optimizer.hpp"
#include "warpbag/types.hpp"

namespace warpbag::model {

/// An id space; it becomes two tables of the collection, `name`.vector and `name`.linear.
struct machine_table {
  std::string name;
  std::int64_t num_rows = 0;
  friend bool operator==(const machine_table&, const machine_table&) = default;
};

struct machine_feature {
  std::string name;
  std::size_t table = 0;
  pooling_mode mode = pooling_mode::sum;
  bool multi_hot = false;
  friend bool operator==(const machine_feature&, const machine_feature&) = default;
};

struct machine_options {
  std::int64_t dim = 16;
  dtype row_type = dtype::f32;
  optimizer_options optimizer;
  float init_scale = 0.05F;  ///< standard deviation of the first vectors; first-order weights: 0
  std::uint64_t seed = 1;
  /// Tables have at most so many rows; ids beyond them are bad ids. 0: as many as there are ids.
  std::int64_t max_rows = 0;
  /// Pooling of multi-hot features by name. Others: `history` mean, the rest sum.
  std::map<std::string, pooling_mode> pooling;
  friend bool operator==(const machine_options&, const machine_options&) = default;
};

struct machine_config {
  std::vector<machine_table> tables;
  std::vector<machine_feature> features;
  machine_options options;
  friend bool operator==(const machine_config&, const machine_config&) = default;
};

/// The machine for the features of a dataset. Throws invalid_argument for a pooling of a feature
/// that is not there or not multi-hot, for mode none, and for dim or max_rows outside their domain.
machine_config make_machine_config(const dataset& samples, const machine_options& options);

}  // namespace warpbag::model
