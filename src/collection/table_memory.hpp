// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "collection/call_records.hpp"
#include "collection/device_buffer.hpp"
#include "operations/backend.hpp"
#include "warpbag/embedding_table.hpp"

namespace warpbag::collection {

/// Throws invalid_argument for a config that no table can be made of.
void check_config(const table_config& config, const subject& name);

/// Weight and optimizer states of one table. A frozen table has no states.
class table_memory {
 public:
  /// Allocates, without first values. Throws bad_allocation.
  table_memory(operations::device_access& access, const table_config& config);

  /// Gives every element its first value. `rng_table`: number of the table in random numbers.
  void initialize(operations::backend& backend, operations::device_access& access,
                  const table_config& config, std::uint64_t seed, std::uint32_t rng_table);

  const tensor_view& weight() const { return weight_; }
  /// data is nullptr where the optimizer has no such state. `index` is 0 or 1.
  const tensor_view& state(int index) const { return states_[static_cast<std::size_t>(index)]; }

 private:
  device_buffer weight_memory_;
  std::array<device_buffer, 2> state_memory_;
  tensor_view weight_;
  std::array<tensor_view, 2> states_;
};

}  // namespace warpbag::collection
