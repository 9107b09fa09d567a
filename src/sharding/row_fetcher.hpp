// SPDX-License-Identifier: Apache-2.0
#pragma once
// The second half of a sharded forward: owners read the rows they were asked for (renormalising
// them where max_norm is set) and every rank gets its distinct rows, each table's as one matrix.

#include <vector>

#include "sharding/column_sums.hpp"
#include "sharding/padding_rows.hpp"
#include "sharding/rank_calls.hpp"
#include "sharding/routed_batch.hpp"
#include "sharding/shard_memory.hpp"
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

class row_fetcher {
 public:
  row_fetcher(const layout& layout, shard_memory& shards, const padding_rows& padding,
              const std::vector<table_config>& configs, int rank,
              operations::device_access& access);

  /// Collective. rows(t) of the batch, through `backend`. Rows of tables with max_norm have
  /// changed then; undo() takes that back, until keep(). Returns the bytes sent to other ranks.
  std::int64_t fetch(rank_calls& calls, const routed_batch& batch, working_backend& backend);
  void undo(operations::backend& backend);
  void keep() { changed_ = false; }

  /// [found.num_rows(t), dim] of the table's type, in the order of compact ids; behind them the
  /// padding row, where the table has one.
  const tensor_view& rows(std::size_t table) const { return rows_[table]; }

 private:
  struct served_rows {
    std::size_t shard = 0;
    const std::int64_t* rows = nullptr;  // local, on the device
    std::int64_t count = 0;
    void* values = nullptr;  // where they go
  };

  void place_rows(const routed_batch& batch);
  void list_served(const routed_batch& batch);
  void list_renormalized(const routed_batch& batch);
  void read_rows(working_backend& backend, const std::vector<served_rows>& list);
  std::int64_t renormalize(rank_calls& calls, working_backend& backend);
  std::int64_t sum_norms(rank_calls& calls, operations::backend& backend);
  std::int64_t exchange(rank_calls& calls, const routed_batch& batch);
  void join_columns(const routed_batch& batch);
  const layout* layout_;
  shard_memory* shards_;
  const padding_rows* padding_;
  const std::vector<table_config>* configs_;
  operations::device_access* access_;
  std::vector<tensor_view> rows_;
  std::vector<std::vector<std::byte*>> piece_rows_;  // [table][piece] where received columns go
  std::vector<served_rows> served_;
  std::vector<served_rows> renormalized_;  // values: as they were
  bool changed_ = false;                   // renormalized_ tells of changes that undo can take back
  collection::call_records call_;
  std::vector<std::size_t> call_shards_;  // [table of call_]
  std::vector<bool> norms_over_pieces_;   // [table] max_norm of rows in several pieces
  column_sums norm_sums_;
  working_memory fetched_memory_;
  working_memory served_memory_;
  working_memory before_memory_;
};

}  // namespace warpbag::sharding
