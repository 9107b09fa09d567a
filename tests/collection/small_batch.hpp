// SPDX-License-Identifier: Apache-2.0
#pragma once
// A batch for a collection, with outputs and gradients, in memory of a device.

#include <cstring>
#include <deque>

#include "support/device_array.hpp"
#include "warpbag/collection.hpp"

namespace warpbag::support {

struct feature_bags {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets;  // with the last one
  std::vector<float> weights = {};    // or empty
};

/// Numbers k / 8, -8 <= k <= 8, that look random: sums and products of a few are exact.
inline std::vector<float> exact_numbers(std::int64_t count, std::int64_t salt = 0) {
  std::vector<float> numbers;
  for (std::int64_t i = 0; i < count; ++i) {
    numbers.push_back(static_cast<float>(((i + salt) * 37 + 5) % 17 - 8) / 8.0F);
  }
  return numbers;
}

class small_batch {
 public:
  small_batch(test_device& device, embedding_bag_collection& collection,
              const std::vector<feature_bags>& features)
      : device_(device) {
    for (std::size_t f = 0; f < features.size(); ++f) add(collection, f, features[f]);
    for (std::size_t t = 0; t < collection.num_tables(); ++t) {
      add_gradient_memory(collection.config(t));
    }
  }

  std::vector<float> output(std::size_t feature) { return outputs_.at(feature).values(); }
  std::vector<float> weight_gradient(std::size_t feature) {
    return weight_gradients_.at(feature).values();
  }
  std::vector<float> dense_gradient(std::size_t table) { return dense_.at(table).values(); }
  std::vector<float> sparse_values(std::size_t table) { return sparse_values_.at(table).values(); }
  std::vector<std::int64_t> sparse_rows(std::size_t table) {
    std::vector<std::int64_t> rows = sparse_rows_.at(table).values();
    rows.resize(static_cast<std::size_t>(sparse_counts_.at(table).values()[0]));
    return rows;
  }

  std::vector<jagged_view> bags;
  std::vector<tensor_view> outputs;
  std::vector<const_tensor_view> output_gradients;
  std::vector<float*> weight_gradients;
  std::vector<sparse_gradient> sparse;
  std::vector<tensor_view> dense;

 private:
  void add(embedding_bag_collection& collection, std::size_t f, const feature_bags& feature) {
    const feature_config& config = collection.feature(f);
    const std::int64_t dim = collection.config(collection.table_index(config.table)).embedding_dim;
    const auto& ids = indices_.emplace_back(device_, feature.ids);
    const auto& offsets = indices_.emplace_back(device_, feature.offsets);
    const auto& weights = numbers_.emplace_back(device_, feature.weights);
    bags.push_back(jagged_view::csr({ids.data(), ids.size()}, {offsets.data(), offsets.size()},
                                    true, weights.size() == 0 ? nullptr : weights.data()));
    const std::int64_t rows = config.mode == pooling_mode::none ? ids.size() : bags.back().num_bags;
    const auto size = static_cast<std::size_t>(rows * dim);
    const auto& output = outputs_.emplace_back(device_, std::vector<float>(size, -99.0F));
    outputs.push_back({output.data(), dtype::f32, rows, dim});
    const auto& gradient =
        numbers_.emplace_back(device_, exact_numbers(rows * dim, static_cast<std::int64_t>(f)));
    output_gradients.push_back({gradient.data(), dtype::f32, rows, dim});
    const auto& weight_gradient =
        weight_gradients_.emplace_back(device_, std::vector<float>(feature.ids.size(), -99.0F));
    const bool weighted = config.mode == pooling_mode::sum || config.mode == pooling_mode::mean;
    weight_gradients.push_back(weighted ? weight_gradient.data() : nullptr);
  }

  void add_gradient_memory(const table_config& config) {
    const std::int64_t rows = config.num_embeddings;
    const std::vector<float> numbers(static_cast<std::size_t>(rows * config.embedding_dim), -99.0F);
    const auto& values = sparse_values_.emplace_back(device_, numbers);
    const auto& row_list = sparse_rows_.emplace_back(
        device_, std::vector<std::int64_t>(static_cast<std::size_t>(rows)));
    const auto& count = sparse_counts_.emplace_back(device_, std::vector<std::int64_t>{-1});
    const auto& dense_values = dense_.emplace_back(device_, numbers);
    sparse.push_back(
        {row_list.data(), {values.data(), dtype::f32, rows, config.embedding_dim}, count.data()});
    dense.push_back({dense_values.data(), dtype::f32, rows, config.embedding_dim});
  }

  test_device& device_;
  std::deque<device_array<std::int64_t>> indices_;
  std::deque<device_array<float>> numbers_;
  std::deque<device_array<float>> outputs_;
  std::deque<device_array<float>> weight_gradients_;
  std::deque<device_array<float>> sparse_values_;
  std::deque<device_array<std::int64_t>> sparse_rows_;
  std::deque<device_array<std::int64_t>> sparse_counts_;
  std::deque<device_array<float>> dense_;
};

template <typename Element = float>
std::vector<Element> contents(embedding_bag_collection& collection, const tensor_view& view) {
  std::vector<Element> values(static_cast<std::size_t>(view.rows * view.dim));
  if (!values.empty()) collection.copy_to_host(view, values.data());
  return values;
}

/// Every byte that training depends on: weights, optimizer states, steps.
inline std::vector<std::byte> snapshot(embedding_bag_collection& collection) {
  std::vector<std::byte> all;
  const auto add = [&](const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    all.insert(all.end(), bytes, bytes + size);
  };
  const auto add_tensor = [&](const tensor_view& view) {
    if (view.data == nullptr) return;
    std::vector<std::byte> bytes(static_cast<std::size_t>(view.rows * view.dim) *
                                 warpbag::size_of(view.type));
    collection.copy_to_host(view, bytes.data());
    add(bytes.data(), bytes.size());
  };
  for (std::size_t t = 0; t < collection.num_tables(); ++t) {
    add_tensor(collection.weight(t));
    add_tensor(collection.state(t, 0));
    add_tensor(collection.state(t, 1));
    const step_state step = collection.step_of(t);
    add(&step.learning_rate, sizeof(step.learning_rate));
    add(&step.step, sizeof(step.step));
    add(&step.beta1_power, sizeof(step.beta1_power));
    add(&step.beta2_power, sizeof(step.beta2_power));
  }
  return all;
}

inline table_config make_table(std::string name, std::int64_t rows, std::int64_t dim,
                               optimizer_options optimizer = {}) {
  table_config config;
  config.name = std::move(name);
  config.num_embeddings = rows;
  config.embedding_dim = dim;
  config.optimizer = optimizer;
  return config;
}

/// Fixture: a device, and what collections on it are made with.
class on_every_backend : public ::testing::TestWithParam<backend_choice> {
 protected:
  on_every_backend() : device_(GetParam().make_device()), resources_(device_->get_resources()) {}
  bool is_cuda() const { return resources_.where.kind == device_kind::cuda; }

  std::unique_ptr<test_device> device_;
  resources resources_;
};

}  // namespace warpbag::support
