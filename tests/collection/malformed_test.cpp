// SPDX-License-Identifier: Apache-2.0
// Arguments that can never be right, one after the other: each is refused with invalid_argument
// that names the thing, nothing is written, and the right call works afterwards.

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>

#include "collection/malformed_call.hpp"
#include "collection/small_batch.hpp"

namespace warpbag::support {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();

struct malformed {
  const char* what;  ///< of the message
  call_kind kind;
  std::function<void(malformed_call::all_views&)> spoil;
};

template <typename Pointer>
Pointer* shifted(Pointer* pointer, std::ptrdiff_t bytes) {
  return reinterpret_cast<Pointer*>(reinterpret_cast<std::uintptr_t>(pointer) +
                                    static_cast<std::uintptr_t>(bytes));
}

const std::vector<malformed>& table_cases() {
  static const std::vector<malformed> cases = {
      {"table 1: num_embeddings = 0", call_kind::forward,
       [](auto& c) { c.tables[1].weight.rows = 0; }},
      {"table 0: embedding_dim = 0", call_kind::forward,
       [](auto& c) { c.tables[0].weight.dim = 0; }},
      {"table 0: embedding_dim = 8193", call_kind::forward,
       [](auto& c) { c.tables[0].weight.dim = 8193; }},
      {"table 0: weight has stride 3", call_kind::forward,
       [](auto& c) { c.tables[0].weight.stride = 3; }},
      {"table 0: weight of 6 rows of stride 9223372036854775807", call_kind::forward,
       [](auto& c) { c.tables[0].weight.stride = huge; }},
      {"table 0: num_embeddings = 9223372036854775807", call_kind::forward,
       [](auto& c) { c.tables[0].weight.rows = huge; }},
      {"table 1: weight is nullptr", call_kind::forward,
       [](auto& c) { c.tables[1].weight.data = nullptr; }},
      {"table 1: weight at", call_kind::forward,
       [](auto& c) { c.tables[1].weight.data = shifted(c.tables[1].weight.data, 2); }},
      {"table 1: the type of the rows", call_kind::forward,
       [](auto& c) { c.tables[1].weight.type = static_cast<dtype>(9); }},
      {"table 0: padding_idx = 6", call_kind::forward,
       [](auto& c) { c.tables[0].padding_idx = 6; }},
      {"table 0: padding_idx = -7", call_kind::forward,
       [](auto& c) { c.tables[0].padding_idx = -7; }},
      {"table 1: max_norm = nan", call_kind::forward,
       [](auto& c) { c.tables[1].max_norm = std::nanf(""); }},
      {"table 1: norm_type = 0", call_kind::forward, [](auto& c) { c.tables[1].norm_type = 0.0F; }},
      {"table 0: optimizer adam: beta1 = 1", call_kind::forward,
       [](auto& c) { c.tables[0].optimizer.beta1 = 1.0F; }},
      {"table 1: rng_table = 268435456", call_kind::forward,
       [](auto& c) { c.tables[1].rng_table = 1U << 28; }},
      {"table 0: optimizer state 1 is nullptr", call_kind::fused,
       [](auto& c) { c.tables[0].state[1] = nullptr; }},
      {"table 1: step is nullptr", call_kind::apply, [](auto& c) { c.tables[1].step = nullptr; }},
      {"table 1: weight shares memory", call_kind::fused,
       [](auto& c) { c.tables[0].state[0] = static_cast<float*>(c.tables[1].weight.data); }},
  };
  return cases;
}

const std::vector<malformed>& feature_cases() {
  static const std::vector<malformed> cases = {
      {"feature 1: table = 2", call_kind::forward, [](auto& c) { c.features[1].table = 2; }},
      {"feature 1: table = -1", call_kind::forward, [](auto& c) { c.features[1].table = -1; }},
      {"feature 2: the mode", call_kind::forward,
       [](auto& c) { c.features[2].mode = static_cast<pooling_mode>(17); }},
      {"feature 1: num_bags = -1", call_kind::forward,
       [](auto& c) { c.features[1].bags.num_bags = -1; }},
      {"feature 1: num_bags = 9223372036854775807", call_kind::forward,
       [](auto& c) { c.features[1].bags.num_bags = huge; }},
      {"feature 1: 4 ids for 2 bags of 3", call_kind::forward,
       [](auto& c) { c.features[1].bags.hotness = 3; }},
      {"feature 1: hotness = -2", call_kind::forward,
       [](auto& c) { c.features[1].bags.hotness = -2; }},
      {"feature 0: 3 offsets for 3 bags", call_kind::forward,
       [](auto& c) { c.features[0].bags.num_bags = 3; }},
      {"feature 1: include_last_offset without offsets", call_kind::forward,
       [](auto& c) { c.features[1].bags.include_last_offset = true; }},
      {"feature 0: offsets are i32, ids are i64", call_kind::forward,
       [](auto& c) { c.features[0].bags.offsets.type = index_type::i32; }},
      {"feature 1: ids are i32, those of feature 0 are i64", call_kind::forward,
       [](auto& c) { c.features[1].bags.ids.type = index_type::i32; }},
      {"feature 2: ids is nullptr", call_kind::forward,
       [](auto& c) { c.features[2].bags.ids.data = nullptr; }},
      {"feature 0: offsets at", call_kind::forward,
       [](auto& c) {
         c.features[0].bags.offsets.data = shifted(c.features[0].bags.offsets.data, 4);
       }},
      {"feature 1: ids.size = -1", call_kind::forward,
       [](auto& c) { c.features[1].bags.ids.size = -1; }},
      {"feature 2: with its 4294967295 ids", call_kind::forward,
       [](auto& c) { c.features[2].bags.ids.size = 0xFFFFFFFF; }},
      {"feature 1: 4294967294 ids; mode max", call_kind::forward,
       [](auto& c) {
         c.features[1].bags.ids.size = 0xFFFFFFFE;
         c.features[1].bags.num_bags = 0x7FFFFFFF;
       }},
      {"feature 1: with its 4294967295 bags", call_kind::forward,
       [](auto& c) {
         c.features[1].bags.ids.size = 0;
         c.features[1].bags.hotness = 0;
         c.features[1].bags.num_bags = 0xFFFFFFFF;
       }},
      {"feature 1: weights need mode sum or mean", call_kind::forward,
       [](auto& c) { c.features[1].bags.weights = c.features[0].bags.weights; }},
      {"feature 2: its table, mode or bags are not those that forward", call_kind::fused,
       [](auto& c) { c.features[2].bags.ids.size = 1, c.gradients[2].rows = 1; }},
      {"2 features in backward for 3 features in forward", call_kind::sparse,
       [](auto& c) { c.features.pop_back(), c.gradients.pop_back(); }},
      {"table 0 is not the one", call_kind::dense,
       [](auto& c) { c.tables[0].padding_idx = std::nullopt; }},
  };
  return cases;
}

const std::vector<malformed>& tensor_cases() {
  static const std::vector<malformed> cases = {
      {"2 outputs for 3 features", call_kind::forward, [](auto& c) { c.outputs.pop_back(); }},
      {"feature 0: outputs is [2, 3], must be [2, 4]", call_kind::forward,
       [](auto& c) { c.outputs[0].dim = 3; }},
      {"feature 2: outputs is [1, 4], must be [2, 4]", call_kind::forward,
       [](auto& c) { c.outputs[2].rows = 1; }},
      {"feature 1: outputs is f16, that of feature 0 is f32", call_kind::forward,
       [](auto& c) { c.outputs[1].type = dtype::f16; }},
      {"feature 1: outputs is nullptr", call_kind::forward,
       [](auto& c) { c.outputs[1].data = nullptr; }},
      {"shares memory with the output of feature", call_kind::forward,
       [](auto& c) { c.outputs[2].data = c.outputs[0].data; }},
      {"shares memory with the", call_kind::forward,
       [](auto& c) { c.outputs[0].data = c.tables[0].weight.data; }},
      {"feature 0: output_gradients is [3, 4]", call_kind::fused,
       [](auto& c) { c.gradients[0].rows = 3; }},
      {"feature 1: output_gradients is nullptr", call_kind::fused,
       [](auto& c) { c.gradients[1].data = nullptr; }},
      {"1 weight_gradients for 3 features", call_kind::fused,
       [](auto& c) { c.weight_gradients.resize(1); }},
      {"feature 1: a gradient of weights needs mode sum or mean", call_kind::fused,
       [](auto& c) { c.weight_gradients[1] = c.weight_gradients[0]; }},
      {"1 gradients for 2 tables", call_kind::sparse, [](auto& c) { c.sparse.pop_back(); }},
      {"table 1: room for 3 rows of gradient, 4 are needed", call_kind::sparse,
       [](auto& c) { c.sparse[1].values.rows = 3; }},
      {"table 0: the gradient's count is nullptr", call_kind::sparse,
       [](auto& c) { c.sparse[0].count = nullptr; }},
      {"table 0: the gradient's rows is nullptr", call_kind::sparse,
       [](auto& c) { c.sparse[0].rows = nullptr; }},
      {"table 0: the values of the gradient have stride 5", call_kind::sparse,
       [](auto& c) { c.sparse[0].values.stride = 5; }},
      {"table 0: the gradient is [5, 4], must be [6, 4]", call_kind::dense,
       [](auto& c) { c.dense[0].rows = 5; }},
      {"table 1: the gradient has stride 4", call_kind::dense,
       [](auto& c) { c.dense[1].stride = 4; }},
      {"1 gradients for 2 tables", call_kind::apply, [](auto& c) { c.sparse.pop_back(); }},
  };
  return cases;
}

class Malformed : public on_every_backend {
 protected:
  void expect_refused(const std::vector<malformed>& cases) {
    for (const malformed& wrong : cases) {
      SCOPED_TRACE(wrong.what);
      malformed_call call(*device_);
      step_workspace workspace(resources_);
      prepare(call, wrong.kind, workspace);
      const std::vector<float> before = call.memory();
      expect_message(call, wrong, workspace);
      EXPECT_EQ(call.memory(), before);

      // The right call afterwards does what it does in a workspace that never saw a wrong one.
      call.call(wrong.kind, workspace);
      malformed_call other(*device_);
      step_workspace fresh(resources_);
      prepare(other, wrong.kind, fresh);
      other.call(wrong.kind, fresh);
      EXPECT_EQ(call.memory(), other.memory());
    }
  }

 private:
  static void prepare(malformed_call& call, call_kind kind, step_workspace& workspace) {
    const bool backward = kind != call_kind::forward && kind != call_kind::apply;
    if (backward) call.call(call_kind::forward, workspace);
  }

  /// Spoils the views for one call.
  static void expect_message(malformed_call& call, const malformed& wrong,
                             step_workspace& workspace) {
    const malformed_call::all_views right = call.views;
    wrong.spoil(call.views);
    try {
      call.call(wrong.kind, workspace);
      ADD_FAILURE() << "was not refused";
    } catch (const invalid_argument& fault) {
      EXPECT_THAT(fault.what(), HasSubstr(wrong.what));
    }
    call.views = right;
  }
};

TEST_P(Malformed, tables_are_refused) { expect_refused(table_cases()); }
TEST_P(Malformed, features_are_refused) { expect_refused(feature_cases()); }
TEST_P(Malformed, tensors_are_refused) { expect_refused(tensor_cases()); }

WARPBAG_FOR_EVERY_BACKEND(Malformed);

}  // namespace
}  // namespace warpbag::support
