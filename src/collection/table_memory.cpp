// SPDX-License-Identifier: Apache-2.0
#include "collection/table_memory.hpp"

#include <cmath>

#include "collection/validate.hpp"
#include "collection/validate_checks.hpp"

namespace warpbag::collection {

namespace {

std::size_t bytes_of(const tensor_view& view) {
  return static_cast<std::size_t>(view.rows) * static_cast<std::size_t>(view.dim) *
         size_of(view.type);
}

tensor_view make_state_view(const table_config& config, const table_extent& extent, int index) {
  const state_shape shape =
      config.freeze ? state_shape::absent : optimizer_state_shape(config.optimizer, index);
  switch (shape) {
    case state_shape::absent: return {};
    case state_shape::per_row: return {nullptr, dtype::f32, extent.num_rows, 1};
    case state_shape::per_element: break;
  }
  return {nullptr, dtype::f32, extent.num_rows, extent.num_columns};
}

numerics::init_kind kind_of(initialization init) {
  switch (init) {
    case initialization::zero: return numerics::init_kind::zero;
    case initialization::uniform: return numerics::init_kind::uniform;
    case initialization::normal: break;
  }
  return numerics::init_kind::normal;
}

float scale_of(const table_config& config) {
  if (config.init_scale) return *config.init_scale;
  const std::int64_t count =
      config.init == initialization::normal ? config.embedding_dim : config.num_embeddings;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(count)));
}

}  // namespace

float first_state_value(const optimizer_options& optimizer, int index) {
  switch (optimizer.kind) {
    case optimizer_kind::adagrad:
    case optimizer_kind::rowwise_adagrad: return optimizer.initial_accumulator;
    case optimizer_kind::ftrl: return index == 1 ? optimizer.initial_accumulator : 0.0F;
    default: return 0.0F;
  }
}

void check_config(const table_config& config, const subject& name) {
  check_table_options({config.num_embeddings, config.embedding_dim, config.type, config.padding_idx,
                       config.max_norm, config.norm_type, config.optimizer},
                      name);
  const std::int64_t elements = checked_product(config.num_embeddings, config.embedding_dim);
  if (elements < 0 || checked_product(elements, sizeof(float)) < 0) {
    refuse(name, ": ", config.num_embeddings, " rows of ", config.embedding_dim, " are too many");
  }
  if (!is_one_of(config.init, initialization::zero)) {
    refuse(name, ": init has the unknown value ", number_of(config.init));
  }
  if (config.init_scale && !(*config.init_scale >= 0.0F && std::isfinite(*config.init_scale))) {
    refuse(name, ": init_scale = ", *config.init_scale, ", must be finite and >= 0");
  }
  const const_tensor_view& given = config.pretrained;
  if (given.data == nullptr && given.rows == 0) return;
  check_matrix(given, config.num_embeddings, config.embedding_dim, name, "pretrained");
  if (given.type != config.type) {
    refuse(name, ": pretrained is ", to_string(given.type), ", the table is ",
           to_string(config.type));
  }
  if (given.stride != given.dim) {
    refuse(name, ": pretrained has stride ", given.stride, ", must be contiguous (", given.dim,
           ")");
  }
}

table_extent::table_extent(const table_config& whole)
    : num_rows(whole.num_embeddings),
      num_columns(whole.embedding_dim),
      padding_row(collection::padding_row(whole.padding_idx, whole.num_embeddings)) {}

table_memory::table_memory(operations::device_access& access, const table_config& config,
                           const table_extent& extent)
    : weight_(nullptr, config.type, extent.num_rows, extent.num_columns),
      states_{make_state_view(config, extent, 0), make_state_view(config, extent, 1)} {
  weight_memory_ = device_buffer(access, bytes_of(weight_));
  weight_.data = weight_memory_.data();
  for (std::size_t index = 0; index < states_.size(); ++index) {
    state_memory_[index] = device_buffer(access, bytes_of(states_[index]));
    states_[index].data = state_memory_[index].data();
  }
}

void table_memory::initialize(operations::backend& backend, operations::device_access& access,
                              const table_config& config, const table_extent& extent,
                              std::uint64_t seed, std::uint32_t rng_table) {
  if (config.pretrained.data != nullptr) {
    access.copy_from_host(weight_, config.pretrained.data);
  } else {
    operations::table_record record;
    record.rows = weight_.data;
    record.num_rows = weight_.rows;
    record.row_stride = weight_.stride;
    record.dim = static_cast<std::int32_t>(weight_.dim);
    record.row_type = weight_.type;
    record.padding_idx = extent.padding_row;
    record.rng_table = rng_table;
    record.seed = seed;
    record.shard = extent.shard;
    backend.initialize_rows(record, kind_of(config.init), scale_of(config));
  }
  for (int index = 0; index < 2; ++index) {
    const tensor_view& view = state(index);
    if (view.data == nullptr) continue;
    backend.fill(static_cast<float*>(view.data), view.rows * view.dim,
                 first_state_value(config.optimizer, index));
  }
}

table_view make_view(const table_config& config, const table_memory& memory, step_state* step,
                     std::uint64_t seed, std::uint32_t rng_table) {
  table_view view;
  view.weight = memory.weight();
  view.padding_idx = config.padding_idx;
  view.max_norm = config.max_norm;
  view.norm_type = config.norm_type;
  view.scale_grad_by_freq = config.scale_grad_by_freq;
  view.freeze = config.freeze;
  view.optimizer = config.optimizer;
  for (int i = 0; i < 2; ++i) view.state[i] = static_cast<float*>(memory.state(i).data);
  view.step = step;
  view.seed = seed;
  view.rng_table = rng_table;
  return view;
}

}  // namespace warpbag::collection
