// SPDX-License-Identifier: Apache-2.0
#pragma once
// Views into records. These functions check all that can be checked without reading memory of the
// device, and throw invalid_argument, naming the table or feature and the value, before anything is
// touched. What they let through, backends take as it is.

#include <span>
#include <variant>

#include "collection/call_records.hpp"
#include "warpbag/embedding_bag.hpp"

namespace warpbag::collection {

/// Device, stream and thread count.
void check_resources(const resources& resources);
/// The same, with the memory resource filled in.
resources completed(resources resources);
void check_policy(bad_id_policy policy);
/// Options that table_view and table_config share. `name`: for messages.
struct table_options {
  std::int64_t num_embeddings;
  std::int64_t embedding_dim;
  dtype type;
  std::optional<std::int64_t> padding_idx;
  std::optional<float> max_norm;
  float norm_type;
  const optimizer_options& optimizer;
};
void check_table_options(const table_options& options, const subject& name);
/// Modes that are none of the four are refused too.
void check_mode(pooling_mode mode, const subject& name);

/// Where backward puts the gradients of rows.
struct fused_target {};
using gradient_target =
    std::variant<fused_target, std::span<const sparse_gradient>, std::span<const tensor_view>>;

/// The record of a table whose view is good. The gradient is `none`.
operations::table_record record_of(const table_view& view);

/// Records of tables and features, with the totals. Gradients are `none`.
void make_records(std::span<const table_view> tables, std::span<const feature_view> features,
                  const call_names& names, call_records& records);
/// The features' part of it, for tables that are in `records` already.
void make_feature_records(std::span<const feature_view> features, const call_names& names,
                          call_records& records);

void set_outputs(std::span<const tensor_view> outputs, const call_names& names,
                 call_records& records);
void set_output_gradients(std::span<const const_tensor_view> gradients, const call_names& names,
                          call_records& records);
void set_weight_gradients(std::span<float* const> gradients, const call_names& names,
                          call_records& records);
/// A caller's gradient of rows of `dim` elements as a record. Throws invalid_argument when its
/// memory cannot take or give them, or has room for fewer than `needed_rows`.
operations::gradient_record sparse_record(const sparse_gradient& gradient, std::int64_t dim,
                                          std::int64_t needed_rows, const subject& name);
operations::gradient_record dense_record(const tensor_view& values, std::int64_t num_rows,
                                         std::int64_t dim, const subject& name);
/// Gives every table that is not frozen its gradient form.
void set_target(const gradient_target& target, std::span<const table_view> tables,
                const call_names& names, call_records& records);
/// The same for apply_gradients: form sparse, with the optimizer's memory checked too. Where
/// `host_memory`, rows and counts are read and checked as well.
void set_applied(std::span<const sparse_gradient> gradients, std::span<const table_view> tables,
                 bool host_memory, const call_names& names, call_records& records);

/// Refuses a backward call whose tables or features are not those of the forward call.
void check_same_batch(const call_records& forward, const call_records& backward,
                      const call_names& names);

}  // namespace warpbag::collection
