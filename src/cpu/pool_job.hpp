// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/bags.hpp"

namespace warpbag::cpu {

/// One piece of pooling: some bags of a feature (mode none: some positions) and some columns.
struct pool_job {
  const feature_record& feature;
  const table_record& table;
  index_type ids_type;
  dtype output_type;
  bool bad_ids_are_zero_rows;
  std::int64_t chunk;
  std::int64_t first_column;
  std::int64_t last_column;
  float* pooled;          // [padded dim] scratch, where output is not fp32
  std::int32_t* winners;  // [padded dim] scratch, mode max
};

}  // namespace warpbag::cpu
