// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "collection/call_records.hpp"
#include "collection/device_buffer.hpp"
#include "operations/backend.hpp"
#include "warpbag/embedding_bag.hpp"
#include "warpbag/embedding_table.hpp"

namespace warpbag::collection {

/// Throws invalid_argument for a config that no table can be made of.
void check_config(const table_config& config, const subject& name);

/// What every element of state `index` starts with: accumulators of squares may start above zero.
float first_state_value(const optimizer_options& optimizer, int index);

/// Which part of a table: the whole of it, or the rows and columns of a shard.
struct table_extent {
  std::int64_t num_rows = 0;
  std::int64_t num_columns = 0;
  std::int64_t padding_row = -1;  // among these rows; -1: not here
  operations::shard_record shard;

  explicit table_extent(const table_config& whole);
  table_extent(std::int64_t rows, std::int64_t columns, std::int64_t padding,
               const operations::shard_record& record)
      : num_rows(rows), num_columns(columns), padding_row(padding), shard(record) {}
};

/// Weight and optimizer states of one table or of a part of it. A frozen table has no states.
class table_memory {
 public:
  /// Allocates, without first values. Throws bad_allocation.
  table_memory(operations::device_access& access, const table_config& config,
               const table_extent& extent);

  /// Gives every element its first value. `rng_table`: number of the table in random numbers.
  /// config.pretrained is of the extent's shape; all else in config is the whole table's.
  void initialize(operations::backend& backend, operations::device_access& access,
                  const table_config& config, const table_extent& extent, std::uint64_t seed,
                  std::uint32_t rng_table);

  const tensor_view& weight() const { return weight_; }
  /// data is nullptr where the optimizer has no such state. `index` is 0 or 1.
  const tensor_view& state(int index) const { return states_[static_cast<std::size_t>(index)]; }

 private:
  device_buffer weight_memory_;
  std::array<device_buffer, 2> state_memory_;
  tensor_view weight_;
  std::array<tensor_view, 2> states_;
};

/// The options of `config` with this memory. padding_idx is the config's.
table_view make_view(const table_config& config, const table_memory& memory, step_state* step,
                     std::uint64_t seed, std::uint32_t rng_table);

}  // namespace warpbag::collection
