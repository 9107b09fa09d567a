// SPDX-License-Identifier: Apache-2.0
#include "model/factorization_machine.hpp"

#include <string>
#include <utility>

namespace warpbag::model {

namespace {

table_config make_table(std::string name, std::int64_t rows, std::int64_t dim,
                        const machine_options& options) {
  table_config table;
  table.name = std::move(name);
  table.num_embeddings = rows;
  table.embedding_dim = dim;
  table.type = options.row_type;
  table.init = initialization::zero;
  table.optimizer = options.optimizer;
  return table;
}

std::vector<table_config> make_tables(const machine_config& config) {
  std::vector<table_config> tables;
  for (const machine_table& table : config.tables) {
    table_config vectors =
        make_table(table.name + ".vector", table.num_rows, config.options.dim, config.options);
    vectors.init = initialization::normal;
    vectors.init_scale = config.options.init_scale;
    tables.push_back(std::move(vectors));
    tables.push_back(make_table(table.name + ".linear", table.num_rows, 1, config.options));
  }
  tables.push_back(make_table("bias", 1, 1, config.options));
  return tables;
}

std::vector<feature_config> make_features(const machine_config& config) {
  std::vector<feature_config> features;
  for (const char* const part : {".vector", ".linear"}) {
    for (const machine_feature& feature : config.features) {
      features.push_back(
          {feature.name + part, config.tables[feature.table].name + part, feature.mode});
    }
  }
  features.push_back({"bias", "bias", pooling_mode::sum});
  return features;
}

/// Rows of the pooled matrix begin at multiples of 16 bytes.
std::int64_t padded_width(const machine_config& config) {
  const auto num_features = static_cast<std::int64_t>(config.features.size());
  return (num_features * (config.options.dim + 1) + 1 + 3) / 4 * 4;
}

}  // namespace

factorization_machine::factorization_machine(machine_config config, model_device& device,
                                             bad_id_policy policy)
    : config_(std::move(config)),
      device_(&device),
      collection_(make_tables(config_), make_features(config_), device.get_resources(),
                  {config_.options.seed, policy}),
      stride_(padded_width(config_)) {}

batch_slot factorization_machine::make_slot() const {
  std::vector<bool> multi_hot;
  for (const machine_feature& feature : config_.features) multi_hot.push_back(feature.multi_hot);
  return {*device_, std::move(multi_hot)};
}

void factorization_machine::make_room(std::int64_t batch) {
  if (batch <= capacity_) return;
  const auto elements = static_cast<std::size_t>(batch * stride_);
  pooled_ = device_->make_zeros(elements);
  gradients_ = device_->make_zeros(elements);
  capacity_ = batch;
}

std::vector<tensor_view> factorization_machine::columns_of(float* matrix,
                                                           std::int64_t batch) const {
  const auto num_features = static_cast<std::int64_t>(config_.features.size());
  std::vector<tensor_view> columns;
  std::int64_t column = 0;
  const auto add = [&](std::int64_t width) {
    columns.emplace_back(matrix + column, dtype::f32, batch, width, stride_);
    column += width;
  };
  for (std::int64_t f = 0; f < num_features; ++f) add(config_.options.dim);
  for (std::int64_t f = 0; f < num_features + 1; ++f) add(1);
  return columns;
}

void factorization_machine::forward(batch_slot& slot, bool with_gradients) {
  make_room(slot.num_samples());
  slot.copy_inputs();
  collection_.forward(slot.bags(), columns_of(pooled_.get(), slot.num_samples()));

  score_job job;
  job.pooled = pooled_.get();
  job.gradients = with_gradients ? gradients_.get() : nullptr;
  job.labels = slot.labels();
  job.logits = slot.logits();
  job.losses = slot.losses();
  job.batch = slot.num_samples();
  job.stride = stride_;
  job.num_features = static_cast<std::int32_t>(config_.features.size());
  job.dim = static_cast<std::int32_t>(config_.options.dim);
  device_->score(job);
}

void factorization_machine::score(batch_slot& slot) {
  forward(slot, false);
  slot.copy_results();
}

void factorization_machine::train(batch_slot& slot) {
  forward(slot, true);
  const std::vector<tensor_view> columns = columns_of(gradients_.get(), slot.num_samples());
  const std::vector<const_tensor_view> gradients(columns.begin(), columns.end());
  collection_.backward(slot.bags(), gradients);
  slot.copy_results();
}

}  // namespace warpbag::model
