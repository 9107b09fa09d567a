// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <numeric>

#include "sharding/sharded_case.hpp"
#include "sharding/stored_values.hpp"

namespace warpbag::support {

namespace {

std::int64_t sum(const std::vector<std::int64_t>& values, std::int64_t first, std::int64_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, std::int64_t{0});
}

}  // namespace

placed_batch::placed_batch(test_device& device, const sharded_case& drawn, std::size_t step,
                           const std::vector<std::int64_t>& first,
                           const std::vector<std::int64_t>& last)
    : output_type_(drawn.output_type) {
  for (std::size_t f = 0; f < drawn.features.size(); ++f) {
    const feature_batch& global = drawn.batches[step][f];
    if (drawn.ids_type == index_type::i32) {
      add_bags<std::int32_t>(device, global, drawn.forms[f], first[f], last[f]);
    } else {
      add_bags<std::int64_t>(device, global, drawn.forms[f], first[f], last[f]);
    }
    const std::int64_t dim = table_of(drawn, f).embedding_dim;
    const bool per_lookup = drawn.features[f].mode == pooling_mode::none;
    const std::int64_t first_row = per_lookup ? sum(global.lengths, 0, first[f]) : first[f];
    const std::int64_t rows = per_lookup ? bags[f].ids.size : last[f] - first[f];
    const std::vector<float> gradient(global.gradient.begin() + first_row * dim,
                                      global.gradient.begin() + (first_row + rows) * dim);
    bytes_.emplace_back(device, stored(gradient, drawn.gradient_type));
    output_gradients.emplace_back(bytes_.back().data(), drawn.gradient_type, rows, dim);
    outputs_.emplace_back(device, std::vector<std::byte>(static_cast<std::size_t>(rows * dim) *
                                                             size_of(drawn.output_type),
                                                         std::byte{0x55}));
    outputs.emplace_back(outputs_.back().data(), drawn.output_type, rows, dim);
    weight_gradients_.emplace_back(
        device, std::vector<float>(static_cast<std::size_t>(bags[f].ids.size), -99.0F));
    const bool pooled =
        drawn.features[f].mode == pooling_mode::sum || drawn.features[f].mode == pooling_mode::mean;
    weight_gradients.push_back(pooled ? weight_gradients_.back().data() : nullptr);
  }
}

template <typename Index>
void placed_batch::add_bags(test_device& device, const feature_batch& global, bags_form form,
                            std::int64_t first, std::int64_t last) {
  const std::int64_t lookup = sum(global.lengths, 0, first);
  const std::int64_t lookups = sum(global.lengths, first, last);
  const auto place = [&](const std::vector<Index>& values) {
    std::vector<std::byte> bytes(values.size() * sizeof(Index));
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    bytes_.emplace_back(device, std::move(bytes));
    return reinterpret_cast<const Index*>(bytes_.back().data());
  };
  std::vector<Index> ids;
  for (std::int64_t i = 0; i < lookups; ++i) {
    ids.push_back(static_cast<Index>(global.ids[static_cast<std::size_t>(lookup + i)]));
  }
  const float* weights = nullptr;
  if (!global.weights.empty()) {
    const auto begin = global.weights.begin() + lookup;
    weights_.push_back(
        std::make_unique<device_array<float>>(device, std::vector<float>(begin, begin + lookups)));
    weights = weights_.back()->data();
  }
  const index_view placed_ids(place(ids), lookups);
  if (form == bags_form::fixed) {
    const std::int64_t hotness = global.lengths.empty() ? 1 : global.lengths.front();
    bags.push_back(jagged_view::fixed(placed_ids, last - first, hotness, weights));
    return;
  }
  std::vector<Index> offsets = {0};
  for (std::int64_t bag = first; bag < last; ++bag) {
    offsets.push_back(
        static_cast<Index>(offsets.back() + global.lengths[static_cast<std::size_t>(bag)]));
  }
  // Without the last offset a feature of no bags has no offsets, which means fixed hotness.
  const bool with_last = form == bags_form::offsets_with_last || last == first;
  if (!with_last) offsets.pop_back();
  const auto num_offsets = static_cast<std::int64_t>(offsets.size());
  bags.push_back(jagged_view::csr(placed_ids, {place(offsets), num_offsets}, with_last, weights));
}

std::vector<float> placed_batch::results(std::size_t feature) {
  std::vector<float> values = widened(outputs_[feature].values(), output_type_);
  if (weight_gradients[feature] != nullptr) {
    const auto& gradients = weight_gradients_[feature].values();
    values.insert(values.end(), gradients.begin(), gradients.end());
  }
  return values;
}

}  // namespace warpbag::support
