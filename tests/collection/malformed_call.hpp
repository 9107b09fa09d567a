// SPDX-License-Identifier: Apache-2.0
#pragma once
// A call of the functional interface with everything right, for tests to spoil in one place.

#include "support/device_array.hpp"
#include "warpbag/embedding_bag.hpp"

namespace warpbag::support {

enum class call_kind { forward, fused, sparse, dense, apply };

/// Table 0: [6, 4] with adam and padding; table 1: [5, 3] with sgd. Features: 0 sum of table 0 with
/// weights, CSR with the last offset; 1 max of table 1, fixed hotness; 2 none of table 0, CSR.
class malformed_call {
 public:
  explicit malformed_call(test_device& device)
      : weights_{{device, numbers(24)}, {device, numbers(15)}},
        states_{{device, numbers(24)}, {device, numbers(24)}},
        steps_(device, std::vector<step_state>(2, {.learning_rate = 0.1F})),
        ids_{{device, {0, 1, 5, 2}}, {device, {4, 0, 1, 1}}, {device, {3, 3}}},
        offsets_{{device, {0, 1, 4}}, {device, {0}}},
        sample_weights_(device, numbers(4)),
        outputs_{{device, numbers(8)}, {device, numbers(6)}, {device, numbers(8)}},
        gradients_{{device, numbers(8)}, {device, numbers(6)}, {device, numbers(8)}},
        weight_gradient_(device, numbers(4)),
        values_{{device, numbers(24)}, {device, numbers(15)}},
        rows_{{device, {0, 2, 3, 4, 5, 5}}, {device, {0, 1, 2, 3, 4}}},
        counts_(device, {5, 5}) {
    make_tables();
    make_features();
  }

  void call(call_kind kind, step_workspace& workspace) {
    const auto& [tables, features, outputs, gradients, sparse, dense, weight_gradients] = views;
    switch (kind) {
      case call_kind::forward: return forward(tables, features, outputs, workspace);
      case call_kind::fused:
        return backward_fused(tables, features, gradients, workspace, weight_gradients);
      case call_kind::sparse:
        return backward_sparse(tables, features, gradients, sparse, workspace, weight_gradients);
      case call_kind::dense:
        return backward_dense(tables, features, gradients, dense, workspace, weight_gradients);
      case call_kind::apply: return apply_gradients(tables, sparse, workspace);
    }
  }

  /// All the memory that a call could write to.
  std::vector<float> memory() {
    std::vector<float> all;
    const auto add = [&](std::vector<device_array<float>>& several) {
      for (auto& array : several)
        all.insert(all.end(), array.values().begin(), array.values().end());
    };
    add(weights_);
    add(states_);
    add(outputs_);
    add(values_);
    const auto& given = weight_gradient_.values();
    all.insert(all.end(), given.begin(), given.end());
    for (const step_state& step : steps_.values()) all.push_back(static_cast<float>(step.step));
    for (const std::int64_t count : counts_.values()) all.push_back(static_cast<float>(count));
    return all;
  }

  struct all_views {
    std::vector<table_view> tables;
    std::vector<feature_view> features;
    std::vector<tensor_view> outputs;
    std::vector<const_tensor_view> gradients;
    std::vector<sparse_gradient> sparse;
    std::vector<tensor_view> dense;
    std::vector<float*> weight_gradients;
  };
  all_views views;

 private:
  static std::vector<float> numbers(int count) {
    std::vector<float> result;
    for (int i = 0; i < count; ++i) result.push_back(static_cast<float>(i + 1) * 0.125F);
    return result;
  }

  void make_tables() {
    views.tables.resize(2);
    views.tables[0].weight = {weights_[0].data(), dtype::f32, 6, 4};
    views.tables[0].optimizer.kind = optimizer_kind::adam;
    views.tables[0].padding_idx = 1;
    views.tables[0].state[0] = states_[0].data();
    views.tables[0].state[1] = states_[1].data();
    views.tables[1].weight = {weights_[1].data(), dtype::f32, 5, 3};
    for (std::size_t t = 0; t < 2; ++t) {
      views.tables[t].step = steps_.data() + t;
      const tensor_view& weight = views.tables[t].weight;
      views.dense.push_back({values_[t].data(), dtype::f32, weight.rows, weight.dim});
      views.sparse.push_back({rows_[t].data(), views.dense[t], counts_.data() + t});
    }
  }

  void make_features() {
    views.features.resize(3);
    views.features[0] = {0, pooling_mode::sum,
                         jagged_view::csr({ids_[0].data(), 4}, {offsets_[0].data(), 3}, true,
                                          sample_weights_.data())};
    views.features[1] = {1, pooling_mode::max, jagged_view::fixed({ids_[1].data(), 4}, 2, 2)};
    views.features[2] = {0, pooling_mode::none,
                         jagged_view::csr({ids_[2].data(), 2}, {offsets_[1].data(), 1}, false)};
    const std::int64_t dims[3] = {4, 3, 4};
    for (std::size_t f = 0; f < 3; ++f) {
      views.outputs.push_back({outputs_[f].data(), dtype::f32, 2, dims[f]});
      views.gradients.push_back({gradients_[f].data(), dtype::f32, 2, dims[f]});
    }
    views.weight_gradients = {weight_gradient_.data(), nullptr, nullptr};
  }

  // Vectors are filled by moving arrays in; braces would copy.
  template <typename Element>
  struct arrays : std::vector<device_array<Element>> {
    arrays(std::initializer_list<std::pair<test_device&, std::vector<Element>>> contents) {
      for (const auto& [device, values] : contents) this->emplace_back(device, values);
    }
  };

  arrays<float> weights_;
  arrays<float> states_;
  device_array<step_state> steps_;
  arrays<std::int64_t> ids_;
  arrays<std::int64_t> offsets_;
  device_array<float> sample_weights_;
  arrays<float> outputs_;
  arrays<float> gradients_;
  device_array<float> weight_gradient_;
  arrays<float> values_;
  arrays<std::int64_t> rows_;
  device_array<std::int64_t> counts_;
};

}  // namespace warpbag::support
