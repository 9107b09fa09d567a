// SPDX-License-Identifier: Apache-2.0
// The k-th allocation fails, for every k: a typed exception, nothing changed, nothing leaked, and
// the next call works.

#include <gmock/gmock.h>

#include "collection/small_batch.hpp"
#include "support/failing_resource.hpp"

namespace warpbag::support {
namespace {

class AllocationFailure : public on_every_backend {
 protected:
  AllocationFailure() : memory_(default_memory_resource(resources_.where)) {
    resources_.memory = &memory_;
  }

  embedding_bag_collection make() {
    optimizer_options adam;
    adam.kind = optimizer_kind::adam;
    table_config normed = make_table("b", 50, 7, adam);
    normed.max_norm = 1.0F;
    return {{make_table("a", 40, 8, adam), normed},
            {{"x", "a", pooling_mode::sum}, {"y", "b", pooling_mode::max}},
            resources_};
  }

  small_batch batch_of(embedding_bag_collection& collection, std::int64_t size) {
    std::vector<std::int64_t> ids;
    std::vector<std::int64_t> offsets = {0};
    for (std::int64_t i = 0; i < size; ++i) {
      ids.push_back(i * 7 % 40);
      offsets.push_back(i + 1);
    }
    return {*device_, collection, {{ids, offsets}, {ids, offsets}}};
  }

  /// Runs `call` with its k-th allocation failing, k = 1, 2, ... until it needs no more. Returns
  /// how many there were.
  template <typename Call, typename AfterFailure>
  int fail_each(bool persistent, Call call, AfterFailure after_failure) {
    for (int k = 1; k < 1000; ++k) {
      memory_.fail_at(k, persistent);
      bool thrown = false;
      try {
        call();
      } catch (const bad_allocation&) {
        thrown = true;
      }
      memory_.never_fail();
      if (!thrown) return k - 1;
      SCOPED_TRACE(k);
      after_failure();
    }
    ADD_FAILURE() << "there is no end of allocations";
    return 0;
  }

  failing_resource memory_;
};

TEST_P(AllocationFailure, in_the_constructor_leaks_nothing) {
  for (const bool persistent : {false, true}) {
    const int failures = fail_each(
        persistent, [&] { make(); },
        [&] {
          EXPECT_EQ(memory_.live_bytes(), 0U);
          EXPECT_EQ(memory_.live_blocks(), 0U);
        });
    EXPECT_GE(failures, 7);  // two weights, four states, the steps
    EXPECT_EQ(memory_.live_bytes(), 0U);
  }
}

TEST_P(AllocationFailure, in_forward_leaves_the_collection_as_it_was) {
  for (const bool persistent : {false, true}) {
    auto collection = make();
    auto small = batch_of(collection, 3);
    collection.forward(small.bags, small.outputs);
    const auto output = small.output(0);
    auto large = batch_of(collection, 3000);
    const std::size_t bytes = memory_.live_bytes();
    const auto before = snapshot(collection);
    const int failures = fail_each(
        persistent, [&] { collection.forward(large.bags, large.outputs); },
        [&] {
          EXPECT_EQ(memory_.live_bytes(), bytes);
          EXPECT_EQ(snapshot(collection), before);
        });
    EXPECT_GE(failures, 2);  // the winners of max, the backend's scratch
    auto twin = make();
    auto same = batch_of(twin, 3000);
    twin.forward(same.bags, same.outputs);
    EXPECT_EQ(large.output(1), same.output(1));
  }
}

TEST_P(AllocationFailure, in_forward_leaves_the_batch_before_it_for_backward) {
  auto collection = make();
  auto twin = make();
  auto batch = batch_of(collection, 3);
  auto same = batch_of(twin, 3);
  auto large = batch_of(collection, 3000);
  collection.forward(batch.bags, batch.outputs);
  memory_.fail_at(1);
  EXPECT_THROW(collection.forward(large.bags, large.outputs), bad_allocation);
  collection.backward(batch.bags, batch.output_gradients);
  twin.forward(same.bags, same.outputs);
  twin.backward(same.bags, same.output_gradients);
  EXPECT_EQ(snapshot(collection), snapshot(twin));
}

TEST_P(AllocationFailure, cannot_happen_in_a_step_whose_size_was_reserved) {
  auto collection = make();
  auto batch = batch_of(collection, 100);
  collection.reserve(batch.bags);
  memory_.fail_at(1, true);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_sparse(batch.bags, batch.output_gradients, batch.sparse);
  collection.apply_gradients(batch.sparse);
  collection.forward(batch.bags, batch.outputs);
  collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
  collection.backward(batch.bags, batch.output_gradients);
  collection.set_learning_rate(0.5F);
  collection.check();
}

TEST_P(AllocationFailure, everything_is_given_back_in_the_end) {
  {
    auto collection = make();
    auto batch = batch_of(collection, 100);
    collection.forward(batch.bags, batch.outputs);
    EXPECT_GT(memory_.live_bytes(), 0U);
  }
  EXPECT_EQ(memory_.live_bytes(), 0U);
  EXPECT_EQ(memory_.live_blocks(), 0U);
}

WARPBAG_FOR_EVERY_BACKEND(AllocationFailure);

}  // namespace
}  // namespace warpbag::support
