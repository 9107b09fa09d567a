// SPDX-License-Identifier: Apache-2.0
// Against torch: every combination of options that torch supports, and its optimizers
// (make_goldens.py wrote the answers). Tolerance: torch.testing's for fp32, rtol 1.3e-6 and atol
// 1e-5.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "warpbag/embedding_bag.hpp"

namespace warpbag {
namespace {

using nlohmann::json;

json read_cases(const std::string& file) {
  std::ifstream stream(std::string(WARPBAG_GOLDEN_DIR) + "/" + file);
  return json::parse(stream).at("cases");
}

template <typename T>
std::optional<std::vector<T>> optional_vector(const json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<std::vector<T>>();
}

void expect_close(const std::vector<float>& got, const std::vector<float>& want,
                  const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::fabs(got[i] - want[i]), 1e-5F + 1.3e-6F * std::fabs(want[i]))
        << what << " [" << i << "]: " << got[i];
  }
}

pooling_mode mode_of(const std::string& name) {
  for (const pooling_mode mode :
       {pooling_mode::sum, pooling_mode::mean, pooling_mode::max, pooling_mode::none}) {
    if (to_string(mode) == name) return mode;
  }
  throw std::runtime_error("no mode " + name);
}

tensor_view matrix(std::vector<float>& values, std::int64_t dim) {
  return {values.data(), dtype::f32, static_cast<std::int64_t>(values.size()) / dim, dim};
}

class Bags : public testing::TestWithParam<json> {};
class Optimizers : public testing::TestWithParam<json> {};

TEST_P(Bags, equal_torch) {
  const json& expected = GetParam();
  const std::int64_t dim = expected.at("dim");
  std::vector<float> weight = expected.at("weight");
  const std::vector<std::int64_t> ids = expected.at("ids");
  const auto offsets = optional_vector<std::int64_t>(expected.at("offsets"));
  const auto sample_weights = optional_vector<float>(expected.at("weights"));
  const std::int64_t num_bags = expected.at("num_bags");
  const auto num_ids = static_cast<std::int64_t>(ids.size());

  table_view table{.weight = matrix(weight, dim),
                   .scale_grad_by_freq = expected.at("scale_grad_by_freq")};
  if (!expected.at("padding_idx").is_null())
    table.padding_idx = expected.at("padding_idx").get<std::int64_t>();
  if (!expected.at("max_norm").is_null()) table.max_norm = expected.at("max_norm").get<float>();
  const json& norm_type = expected.at("norm_type");
  table.norm_type =
      norm_type.is_string() ? std::numeric_limits<float>::infinity() : norm_type.get<float>();

  const float* weights = sample_weights ? sample_weights->data() : nullptr;
  const index_view id_view(ids.data(), num_ids);
  const jagged_view bags =
      offsets
          ? jagged_view::csr(id_view, {offsets->data(), static_cast<std::int64_t>(offsets->size())},
                             expected.at("include_last_offset"), weights)
          : jagged_view::fixed(id_view, num_bags, num_ids / num_bags, weights);
  const std::array tables = {table};
  const std::array features = {feature_view{0, mode_of(expected.at("mode")), bags}};

  std::vector<float> output(static_cast<std::size_t>(num_bags * dim));
  const std::array outputs = {matrix(output, dim)};
  step_workspace workspace{resources{}};
  forward(tables, features, outputs, workspace);
  expect_close(output, expected.at("output"), "output");
  expect_close(weight, expected.at("weight_after_forward"), "weight after forward");

  std::vector<float> output_gradient = expected.at("output_gradient");
  const std::array<const_tensor_view, 1> output_gradients = {matrix(output_gradient, dim)};
  std::vector<float> gradient(weight.size(), std::numeric_limits<float>::quiet_NaN());
  const std::array gradients = {matrix(gradient, dim)};
  std::vector<float> weight_gradient(ids.size());
  const std::array weight_gradients = {sample_weights ? weight_gradient.data() : nullptr};
  backward_dense(tables, features, output_gradients, gradients, workspace, weight_gradients);
  expect_close(gradient, expected.at("gradient"), "gradient");
  if (sample_weights)
    expect_close(weight_gradient, expected.at("weight_gradient"), "weight gradient");
}

optimizer_options options_of(const json& expected) {
  optimizer_options options{.learning_rate = expected.at("lr")};
  const std::string kind = expected.at("kind");
  for (const optimizer_kind candidate : {optimizer_kind::sgd, optimizer_kind::adagrad,
                                         optimizer_kind::adam, optimizer_kind::adamw}) {
    if (to_string(candidate) == kind) options.kind = candidate;
  }
  options.momentum = expected.value("momentum", 0.0F);
  options.eps = expected.value("eps", 1e-8F);
  options.initial_accumulator = expected.value("initial_accumulator", 0.0F);
  options.weight_decay = expected.value("weight_decay", 0.0F);
  const std::string decay = expected.value("decay", "none");
  if (decay == "l2") options.decay_mode = weight_decay_mode::l2;
  if (decay == "decoupled") options.decay_mode = weight_decay_mode::decoupled;
  return options;
}

TEST_P(Optimizers, equal_torch) {
  const json& expected = GetParam();
  const std::int64_t dim = expected.at("dim");
  std::vector<float> weight = expected.at("weight");
  const optimizer_options options = options_of(expected.at("options"));
  std::array<std::vector<float>, 2> states = {
      std::vector<float>(weight.size(), options.initial_accumulator),
      std::vector<float>(weight.size())};
  step_state step{.learning_rate = options.learning_rate};
  const std::array tables = {table_view{.weight = matrix(weight, dim),
                                        .optimizer = options,
                                        .state = {states[0].data(), states[1].data()},
                                        .step = &step}};
  step_workspace workspace{resources{}};
  for (const json& touched : expected.at("steps")) {
    std::vector<std::int64_t> rows = touched.at("rows");
    std::vector<float> gradient = touched.at("gradient");
    auto count = static_cast<std::int64_t>(rows.size());
    const std::array gradients = {sparse_gradient{rows.data(), matrix(gradient, dim), &count}};
    apply_gradients(tables, gradients, workspace);
  }
  EXPECT_EQ(step.step, expected.at("steps").size());
  expect_close(weight, expected.at("result"), "weight");
}

std::string case_name(const testing::TestParamInfo<json>& info) {
  std::string name = info.param.at("name");
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Golden, Bags, testing::ValuesIn(read_cases("embedding_bag.json").get<std::vector<json>>()),
    case_name);
INSTANTIATE_TEST_SUITE_P(Golden, Optimizers,
                         testing::ValuesIn(read_cases("optimizers.json").get<std::vector<json>>()),
                         case_name);

}  // namespace
}  // namespace warpbag
