// SPDX-License-Identifier: Apache-2.0
// Bugs that other embedding libraries shipped, each as a test of the same name as what happened
// there. The number in brackets is that of the public report.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <array>
#include <fstream>

#include "collection/small_batch.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/checkpoint.hpp"

namespace warpbag::support {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class FieldBugs : public on_every_backend {
 protected:
  embedding_bag_collection make(bad_id_policy policy, pooling_mode mode = pooling_mode::sum) {
    static constexpr std::array<float, 6> rows = {1, 2, 3, 4, 5, 6};
    table_config config = from_pretrained("t", {rows.data(), dtype::f32, 3, 2}, false);
    config.optimizer.learning_rate = 1.0F;
    return {{config}, {{"f", "t", mode}}, resources_, {.policy = policy}};
  }

  /// A bad batch is refused by forward on the CPU and by check() on a device.
  template <typename Fault>
  lookup_location refusal(embedding_bag_collection& collection, small_batch& batch) {
    try {
      collection.forward(batch.bags, batch.outputs);
      collection.check();
    } catch (const Fault& fault) {
      return fault.where();
    }
    ADD_FAILURE() << "the batch was not refused";
    return {};
  }

  template <typename Fault>
  void expect_refused(const feature_bags& bags, std::int64_t value) {
    auto collection = make(bad_id_policy::error);
    small_batch batch(*device_, collection, {bags});
    const auto before = snapshot(collection);
    EXPECT_EQ((refusal<Fault>(collection, batch).value), value);
    EXPECT_THAT(batch.output(0), Each(-99.0F));
    EXPECT_EQ(snapshot(collection), before);
    small_batch good(*device_, collection, {{{0}, {0, 1}}});
    collection.forward(good.bags, good.outputs);
    collection.check();
    EXPECT_THAT(good.output(0), ElementsAre(1, 2));
  }
};

// pytorch#89362, #140791
TEST_P(FieldBugs, negative_id_silently_gave_zeros_on_the_gpu) {
  expect_refused<id_out_of_range>({{0, -1}, {0, 2}}, -1);
  auto skipping = make(bad_id_policy::skip);
  small_batch batch(*device_, skipping, {{{0, -1}, {0, 2}}});
  skipping.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(1, 2));
  EXPECT_EQ(skipping.bad_ids(), 1);
}

// pytorch#193095
TEST_P(FieldBugs, offsets_were_never_validated_on_the_gpu) {
  expect_refused<bad_offsets>({{0, 1}, {-1000000000000, 2}}, -1000000000000);
  expect_refused<bad_offsets>({{0, 1}, {1, 2}}, 1);
  expect_refused<bad_offsets>({{0, 1}, {0, 2, 1}}, 1);
  expect_refused<bad_offsets>({{0, 1}, {0, 3}}, 3);
}

// pytorch#193408
TEST_P(FieldBugs, weight_gradient_skipped_the_bounds_check_and_cut_ids_to_32_bits) {
  const std::int64_t beyond = (std::int64_t{1} << 32) + 1;  // 1, when cut to 32 bits
  auto collection = make(bad_id_policy::skip);
  small_batch batch(*device_, collection,
                    {{{beyond, 1, std::int64_t{1} << 31}, {0, 3}, {1, 1, 1}}});
  collection.forward(batch.bags, batch.outputs);
  EXPECT_THAT(batch.output(0), ElementsAre(3, 4));
  collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
  EXPECT_THAT(batch.weight_gradient(0), ElementsAre(0, -0.375F * 3, 0));
  EXPECT_THAT(contents(collection, collection.weight(0)), ElementsAre(1, 2, 3.375F, 4, 5, 6));
  expect_refused<id_out_of_range>({{0, beyond}, {0, 2}}, beyond);
}

// FBGEMM#1186, #1511, #3953, #5544, TorchEasyRec#472
TEST_P(FieldBugs, row_times_dim_was_computed_in_32_bits) {
  if (is_cuda()) GTEST_SKIP() << "8 GiB of address space: on the CPU, where untouched pages cost 0";
  constexpr std::int64_t num_rows = (std::int64_t{1} << 26) + 33;
  constexpr std::int64_t dim = 32;
  constexpr std::size_t bytes = static_cast<std::size_t>(num_rows * dim) * sizeof(float);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  float* const last = static_cast<float*>(memory) + (num_rows - 1) * dim;
  std::fill_n(last, dim, 2.0F);
  step_state step{.learning_rate = 1.0F};
  table_view table;
  table.weight = {memory, dtype::f32, num_rows, dim};
  table.step = &step;
  const std::int64_t ids[2] = {num_rows - 1, 0};
  const feature_view feature = {0, pooling_mode::sum, jagged_view::fixed({ids, 2}, 1, 2)};
  std::vector<float> output(dim, -1.0F);
  const std::vector<float> gradient(dim, 0.5F);
  const tensor_view output_view(output.data(), dtype::f32, 1, dim);
  const const_tensor_view gradient_view(gradient.data(), dtype::f32, 1, dim);
  step_workspace workspace(resources_);
  forward({&table, 1}, {&feature, 1}, {&output_view, 1}, workspace);
  EXPECT_THAT(output, Each(2.0F));
  backward_fused({&table, 1}, {&feature, 1}, {&gradient_view, 1}, workspace);
  EXPECT_THAT(std::vector<float>(last, last + dim), Each(1.5F));
  EXPECT_THAT(std::vector<float>(last - dim, last), Each(0.0F));
  EXPECT_EQ(static_cast<float*>(memory)[0], -0.5F);
  ::munmap(memory, bytes);
}

// FBGEMM#5994
TEST_P(FieldBugs, sizes_of_all_features_were_added_in_32_bits) {
  auto collection = make(bad_id_policy::error);
  small_batch batch(*device_, collection, {{{0}, {0, 1}}});
  // Sizes that lie: they are refused by arithmetic, long before an id is read.
  table_view table;
  table.weight = collection.weight(0);
  std::vector<feature_view> features(3);
  std::vector<tensor_view> outputs(3, batch.outputs[0]);
  for (feature_view& feature : features) {
    feature.mode = pooling_mode::sum;
    feature.bags = batch.bags[0];
    feature.bags.ids.size = std::int64_t{1} << 31;
  }
  step_workspace workspace(resources_);
  EXPECT_THROW(forward({&table, 1}, features, outputs, workspace), invalid_argument);
  features[0].bags.ids.size = std::int64_t{1} << 62;
  EXPECT_THROW(forward({&table, 1}, features, outputs, workspace), invalid_argument);
}

// FBGEMM#1613
TEST_P(FieldBugs, a_batch_without_ids_was_an_illegal_access) {
  for (const pooling_mode mode :
       {pooling_mode::sum, pooling_mode::mean, pooling_mode::max, pooling_mode::none}) {
    auto collection = make(bad_id_policy::error, mode);
    const auto weights = contents(collection, collection.weight(0));
    for (const feature_bags& bags : {feature_bags{{}, {0, 0, 0}}, feature_bags{{}, {0}}}) {
      small_batch batch(*device_, collection, {bags});
      collection.forward(batch.bags, batch.outputs);
      collection.backward_sparse(batch.bags, batch.output_gradients, batch.sparse);
      EXPECT_TRUE(batch.sparse_rows(0).empty());
      collection.backward_dense(batch.bags, batch.output_gradients, batch.dense);
      EXPECT_THAT(batch.dense_gradient(0), Each(0.0F));
      collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
      EXPECT_THAT(batch.output(0), Each(0.0F));
    }
    EXPECT_EQ(contents(collection, collection.weight(0)), weights);
    EXPECT_EQ(collection.step_of(0).step, 2U);
  }
  embedding_bag_collection nothing({}, {}, resources_);
  nothing.forward({}, {});
  nothing.backward({}, {});
  nothing.check();
}

// FBGEMM#6215
TEST_P(FieldBugs, an_id_equal_to_the_number_of_rows_read_the_next_table) {
  device_array<float> rows(*device_, {1, 2, 3, 4, 5, 100, 200, 300});
  table_view tables[2];
  tables[0].weight = {rows.data(), dtype::f32, 5, 1};
  tables[1].weight = {rows.data() + 5, dtype::f32, 3, 1};
  device_array<std::int64_t> ids(*device_, {4, 5});
  device_array<float> output(*device_, {-1});
  const feature_view feature = {0, pooling_mode::sum, jagged_view::fixed({ids.data(), 2}, 1, 2)};
  const tensor_view view(output.data(), dtype::f32, 1, 1);
  step_workspace checking(resources_);
  EXPECT_THROW(
      {
        forward(tables, {&feature, 1}, {&view, 1}, checking);
        checking.check();
      },
      id_out_of_range);
  EXPECT_THAT(output.values(), ElementsAre(-1));
  step_workspace skipping(resources_, bad_id_policy::skip);
  forward(tables, {&feature, 1}, {&view, 1}, skipping);
  EXPECT_THAT(output.values(), ElementsAre(5));
}

// FBGEMM's bounds_check_indices writes indices[i] = 0
TEST_P(FieldBugs, a_bad_id_became_0_in_the_caller_s_memory_and_row_0_was_trained) {
  for (const bad_id_policy policy : {bad_id_policy::skip, bad_id_policy::zero}) {
    auto collection = make(policy);
    device_array<std::int64_t> ids(*device_, {7, 2});
    const jagged_view bags = jagged_view::fixed({ids.data(), 2}, 1, 2);
    small_batch batch(*device_, collection, {{{7, 2}, {0, 2}}});
    collection.forward({&bags, 1}, batch.outputs);
    collection.backward({&bags, 1}, batch.output_gradients);
    EXPECT_THAT(ids.values(), ElementsAre(7, 2));
    EXPECT_THAT(contents(collection, collection.weight(0)), ElementsAre(1, 2, 3, 4, 5.375F, 6));
  }
}

// safetensors#762
TEST_P(FieldBugs, saving_over_a_file_that_was_mapped_zeroed_it) {
  const testing::temporary_folder folder;
  const auto file = folder.path() / "model.safetensors";
  auto collection = make(bad_id_policy::error);
  save_checkpoint(collection, file, {{"epoch", "1"}});
  const std::string before = testing::bytes_of(file);
  const int descriptor = ::open(file.c_str(), O_RDONLY);
  void* const mapped = ::mmap(nullptr, before.size(), PROT_READ, MAP_PRIVATE, descriptor, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ::close(descriptor);
  load_checkpoint(collection, file);
  save_checkpoint(collection, file, {{"epoch", "1"}});
  EXPECT_EQ(std::string(static_cast<const char*>(mapped), before.size()), before);
  EXPECT_EQ(testing::bytes_of(file), before);
  ::munmap(mapped, before.size());
}

// pytorch#102599, #110723, #192105: there, one rank's fault hung the others or ended the process.
TEST_P(FieldBugs, a_fault_hung_or_ended_the_process_instead_of_being_thrown) {
  auto collection = make(bad_id_policy::error);
  auto healthy = make(bad_id_policy::error);
  small_batch bad(*device_, collection, {{{3}, {0, 1}}});
  small_batch good(*device_, healthy, {{{2}, {0, 1}}});
  for (int attempt = 0; attempt < 3; ++attempt) {
    refusal<id_out_of_range>(collection, bad);
    healthy.forward(good.bags, good.outputs);
    healthy.backward(good.bags, good.output_gradients);
    healthy.check();
  }
  EXPECT_EQ(healthy.step_of(0).step, 3U);
  EXPECT_EQ(collection.step_of(0).step, 0U);
}

WARPBAG_FOR_EVERY_BACKEND(FieldBugs);

}  // namespace
}  // namespace warpbag::support
