// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "collection/validate.hpp"
#include "collection/validate_checks.hpp"

namespace warpbag::collection {

namespace {

using operations::feature_record;
using operations::gradient_form;
using operations::gradient_record;
using operations::table_record;

const table_record& table_of(const call_records& records, const feature_record& feature) {
  return records.tables[static_cast<std::size_t>(feature.table)];
}

std::int64_t output_rows(const feature_record& feature) {
  return feature.mode == pooling_mode::none ? feature.num_ids : feature.num_bags;
}

/// Outputs and their gradients: one matrix a feature, one type for all.
template <typename View>
dtype check_pooled(std::span<const View> views, const char* what, const call_names& names,
                   const call_records& records) {
  check_count(views.size(), records.features.size(), what, "features");
  for (std::size_t f = 0; f < views.size(); ++f) {
    const feature_record& feature = records.features[f];
    const subject name = names.feature(f);
    check_matrix(views[f], output_rows(feature), table_of(records, feature).dim, name, what);
    if (views[f].type != views[0].type) {
      refuse(name, ": ", what, " is ", to_string(views[f].type), ", that of ", names.feature(0),
             " is ", to_string(views[0].type));
    }
  }
  return views.empty() ? dtype::f32 : views[0].type;
}

/// What a step of the optimizer reads and writes beside the rows.
void check_optimizer_memory(const table_record& table, const subject& name) {
  for (int index = 0; index < 2; ++index) {
    const state_shape shape = optimizer_state_shape(table.optimizer, index);
    if (shape == state_shape::absent) continue;
    check_pointer(table.state[index], table.num_rows, sizeof(float), name,
                  index == 0 ? "optimizer state 0" : "optimizer state 1");
  }
  check_pointer(table.step, 1, alignof(step_state), name, "step");
}

std::int64_t ids_of_table(const call_records& records, std::size_t table) {
  std::int64_t ids = 0;
  for (const feature_record& feature : records.features) {
    if (static_cast<std::size_t>(feature.table) == table) ids += feature.num_ids;
  }
  return ids;
}

/// Rows beyond the table would be written to, repeated ones updated twice.
void check_row_list(const gradient_record& gradient, std::int64_t num_rows, const subject& name) {
  const std::int64_t count = *gradient.count;
  if (count < 0 || count > gradient.capacity) {
    refuse(name, ": the gradient's count is ", count, ", must be in [0, ", gradient.capacity, "]");
  }
  std::int64_t previous = -1;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t row = gradient.rows[k];
    if (row <= previous || row >= num_rows) {
      refuse(name, ": row ", k, " of the gradient is ", row, ", must be in (", previous, ", ",
             num_rows, ")");
    }
    previous = row;
  }
}

}  // namespace

void set_outputs(std::span<const tensor_view> outputs, const call_names& names,
                 call_records& records) {
  records.output_type = check_pooled(outputs, "outputs", names, records);
  for (std::size_t f = 0; f < outputs.size(); ++f) {
    records.features[f].output = outputs[f].data;
    records.features[f].output_stride = outputs[f].stride;
  }
}

void set_output_gradients(std::span<const const_tensor_view> gradients, const call_names& names,
                          call_records& records) {
  records.gradient_type = check_pooled(gradients, "output_gradients", names, records);
  for (std::size_t f = 0; f < gradients.size(); ++f) {
    records.features[f].gradient = gradients[f].data;
    records.features[f].gradient_stride = gradients[f].stride;
  }
}

void set_weight_gradients(std::span<float* const> gradients, const call_names& names,
                          call_records& records) {
  if (gradients.empty()) return;
  check_count(gradients.size(), records.features.size(), "weight_gradients", "features");
  for (std::size_t f = 0; f < gradients.size(); ++f) {
    feature_record& feature = records.features[f];
    if (gradients[f] == nullptr) continue;
    if (feature.mode != pooling_mode::sum && feature.mode != pooling_mode::mean) {
      refuse(names.feature(f), ": a gradient of weights needs mode sum or mean, the mode is ",
             to_string(feature.mode));
    }
    check_pointer(gradients[f], 0, alignof(float), names.feature(f), "weight_gradients");
    feature.weight_gradient = gradients[f];
  }
}

gradient_record sparse_record(const sparse_gradient& gradient, std::int64_t dim,
                              std::int64_t needed_rows, const subject& name) {
  const tensor_view& values = gradient.values;
  check_matrix(values, values.rows, dim, name, "the values of the gradient");
  if (values.stride != dim) {
    refuse(name, ": the values of the gradient have stride ", values.stride,
           ", must be contiguous (", dim, ")");
  }
  if (values.rows < needed_rows) {
    refuse(name, ": room for ", values.rows, " rows of gradient, ", needed_rows, " are needed");
  }
  check_pointer(gradient.rows, values.rows, alignof(std::int64_t), name, "the gradient's rows");
  check_pointer(gradient.count, 1, alignof(std::int64_t), name, "the gradient's count");
  return {gradient_form::sparse, values.type,    values.data,
          gradient.rows,         gradient.count, values.rows};
}

gradient_record dense_record(const tensor_view& values, std::int64_t num_rows, std::int64_t dim,
                             const subject& name) {
  check_matrix(values, num_rows, dim, name, "the gradient");
  if (values.stride != dim) {
    refuse(name, ": the gradient has stride ", values.stride, ", must be contiguous (", dim, ")");
  }
  return {gradient_form::dense, values.type, values.data, nullptr, nullptr, 0};
}

void set_target(const gradient_target& target, std::span<const table_view> tables,
                const call_names& names, call_records& records) {
  const auto* sparse = std::get_if<std::span<const sparse_gradient>>(&target);
  const auto* dense = std::get_if<std::span<const tensor_view>>(&target);
  if (sparse != nullptr) check_count(sparse->size(), tables.size(), "gradients", "tables");
  if (dense != nullptr) check_count(dense->size(), tables.size(), "gradients", "tables");
  for (std::size_t t = 0; t < tables.size(); ++t) {
    if (tables[t].freeze) continue;
    table_record& table = records.tables[t];
    const subject name = names.table(t);
    if (sparse != nullptr) {
      const std::int64_t needed = std::min(table.num_rows, ids_of_table(records, t));
      table.gradient = sparse_record((*sparse)[t], table.dim, needed, name);
    } else if (dense != nullptr) {
      table.gradient = dense_record((*dense)[t], table.num_rows, table.dim, name);
    } else {
      check_optimizer_memory(table, name);
      table.gradient.form = gradient_form::fused;
    }
  }
}

void set_applied(std::span<const sparse_gradient> gradients, std::span<const table_view> tables,
                 bool host_memory, const call_names& names, call_records& records) {
  check_count(gradients.size(), tables.size(), "gradients", "tables");
  for (std::size_t t = 0; t < tables.size(); ++t) {
    if (tables[t].freeze) continue;
    table_record& table = records.tables[t];
    const subject name = names.table(t);
    check_optimizer_memory(table, name);
    table.gradient = sparse_record(gradients[t], table.dim, 0, name);
    if (host_memory) check_row_list(table.gradient, table.num_rows, name);
  }
}

void check_same_batch(const call_records& forward, const call_records& backward,
                      const call_names& names) {
  check_count(backward.tables.size(), forward.tables.size(), "tables in backward",
              "tables in forward");
  check_count(backward.features.size(), forward.features.size(), "features in backward",
              "features in forward");
  for (std::size_t t = 0; t < forward.tables.size(); ++t) {
    const auto key = [](const table_record& x) {
      return std::tuple(x.rows, x.num_rows, x.row_stride, x.padding_idx, x.dim, x.row_type,
                        x.renormalize);
    };
    if (key(forward.tables[t]) != key(backward.tables[t])) {
      refuse(names.table(t), " is not the one that forward was given");
    }
  }
  for (std::size_t f = 0; f < forward.features.size(); ++f) {
    const auto key = [](const feature_record& x) {
      return std::tuple(x.table, x.mode, x.has_last_offset, x.ids, x.offsets, x.weights, x.num_ids,
                        x.num_bags, x.hotness);
    };
    if (key(forward.features[f]) != key(backward.features[f])) {
      refuse(names.feature(f), ": its table, mode or bags are not those that forward was given");
    }
  }
}

}  // namespace warpbag::collection
