// SPDX-License-Identifier: Apache-2.0
#pragma once
// Mode none reads padding rows like any other, and no batch ever changes them: so every rank has a
// copy, and no step asks for them.

#include "sharding/rank_calls.hpp"
#include "sharding/shard_memory.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

class padding_rows {
 public:
  padding_rows(const layout& layout, const std::vector<table_config>& configs,
               operations::device_access& access);

  /// Collective: the owners' padding rows go to every rank.
  void share(rank_calls& calls, const shard_memory& shards);

  /// Copies the row of a table that has one to `to`, [dim] of the table's type.
  void copy_to(std::size_t table, void* to) const;

 private:
  struct padding_row {
    std::int64_t id = -1;                // -1: the table has none
    std::int32_t owner = 0;              // of each piece; unless
    std::int64_t replicated_row = -1;    // this row of the replicas is it
    std::int64_t row = 0;                // at the owner
    collection::device_buffer contents;  // [dim]
  };

  const layout* layout_;
  const std::vector<table_config>* configs_;
  operations::device_access* access_;
  std::vector<padding_row> rows_;
};

}  // namespace warpbag::sharding
