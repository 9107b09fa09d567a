// SPDX-License-Identifier: Apache-2.0
#include "model/factorization_machine.hpp"

#include <algorithm>
#include <utility>

#include "model/machine_tables.hpp"

namespace warpbag::model {

namespace {

bags_config make_bags_config(const machine_config& config, bad_id_policy policy) {
  return {machine_tables(config), machine_features(config), {config.options.seed, policy}};
}

/// Rows of the pooled matrix begin at multiples of 16 bytes.
std::int64_t padded_width(const machine_config& config) {
  const auto num_features = static_cast<std::int64_t>(config.features.size());
  return (num_features * (config.options.dim + 1) + 1 + 3) / 4 * 4;
}

}  // namespace

factorization_machine::factorization_machine(machine_config config, model_device& device,
                                             std::unique_ptr<machine_bags> bags, rank_group ranks)
    : config_(std::move(config)),
      device_(&device),
      ranks_(std::move(ranks)),
      bags_(std::move(bags)),
      stride_(padded_width(config_)) {}

factorization_machine::factorization_machine(machine_config config, model_device& device,
                                             bad_id_policy policy)
    : factorization_machine(config, device,
                            make_bags(make_bags_config(config, policy), device.get_resources()),
                            rank_group(device, nullptr)) {}

factorization_machine::factorization_machine(machine_config config, model_device& device,
                                             bad_id_policy policy, const sharding_plan& plan,
                                             std::shared_ptr<transport> ranks)
    : factorization_machine(
          config, device,
          make_sharded_bags(make_bags_config(config, policy), device.get_resources(), plan, ranks),
          rank_group(device, ranks)) {}

batch_slot factorization_machine::make_slot() const {
  std::vector<bool> multi_hot;
  for (const machine_feature& feature : config_.features) multi_hot.push_back(feature.multi_hot);
  return {*device_, std::move(multi_hot)};
}

void factorization_machine::make_room(std::int64_t batch) {
  if (batch <= capacity_ && capacity_ > 0) return;
  batch = std::max(batch, std::int64_t{1});  // a rank without samples has matrices too
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

void factorization_machine::forward(batch_slot& slot, const batch_slot* next, bool with_gradients) {
  make_room(slot.num_samples());
  bags_->forward(slot.bags(), columns_of(pooled_.get(), slot.num_samples()));
  if (next != nullptr) {
    read_ahead_ = next->inputs();
    bags_->prefetch(next->bags());
  }

  const std::int64_t first = ranks_.part().begin_of(slot.batch_size());
  score_job job;
  job.pooled = pooled_.get();
  job.gradients = with_gradients ? gradients_.get() : nullptr;
  job.labels = slot.labels();
  job.logits = slot.logits() + first;
  job.losses = slot.losses() + first;
  job.batch = slot.num_samples();
  job.mean_over = slot.batch_size();
  job.stride = stride_;
  job.num_features = static_cast<std::int32_t>(config_.features.size());
  job.dim = static_cast<std::int32_t>(config_.options.dim);
  device_->score(job);
}

void factorization_machine::score(batch_slot& slot, const batch_slot* next) {
  forward(slot, next, false);
  ranks_.gather_results(slot);
  slot.copy_results();
}

void factorization_machine::train(batch_slot& slot, const batch_slot* next) {
  forward(slot, next, true);
  const std::vector<tensor_view> columns = columns_of(gradients_.get(), slot.num_samples());
  const std::vector<const_tensor_view> gradients(columns.begin(), columns.end());
  bags_->backward(slot.bags(), gradients);
  ranks_.gather_results(slot);
  slot.copy_results();
}

}  // namespace warpbag::model
