// SPDX-License-Identifier: Apache-2.0
// A table whose columns are cut into parts, each trained on its own but for the sums over whole
// rows, against the table in one piece, to the last bit.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "support/configuration.hpp"
#include "support/device_array.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::row_reduction;

support::buffer columns_of(const support::buffer& whole, std::int64_t rows, std::int64_t first,
                           std::int64_t dim) {
  support::buffer part(whole.kind, rows, dim);
  const std::size_t element_bytes = support::size_of(whole.kind);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(whole.data() + static_cast<std::size_t>(row * whole.stride + first) * element_bytes,
                static_cast<std::size_t>(dim) * element_bytes,
                part.data() + static_cast<std::size_t>(row * dim) * element_bytes);
  }
  return part;
}

/// Columns [first, first + dim) of the only table and of the gradients of its only feature; the
/// gradient of the table is of form sparse.
support::problem_data part_of(const support::problem_data& whole, std::int32_t first,
                              std::int32_t dim) {
  support::problem_data part = whole;
  support::table_data& table = part.tables[0];
  operations::table_record& record = table.record;
  const std::int64_t num_rows = record.num_rows;
  table.rows = columns_of(table.rows, num_rows, first, dim);
  for (int index = 0; index < 2; ++index) {
    if (optimizer_state_shape(record.optimizer, index) != state_shape::per_element) continue;
    table.state[index] = columns_of(table.state[index], num_rows, first, dim);
  }
  record.shard.first_column = first;
  record.shard.whole_dim = record.dim;
  record.dim = dim;
  record.row_stride = dim;
  support::feature_data& feature = part.features[0];
  feature.gradient = columns_of(feature.gradient, feature.record.num_bags, first, dim);
  feature.output = support::buffer(feature.output.kind, feature.record.num_bags, dim);
  feature.record.gradient_stride = feature.record.output_stride = dim;
  record.gradient.form = operations::gradient_form::sparse;
  record.gradient.value_type = dtype::f32;
  record.gradient.capacity = std::min(num_rows, feature.record.num_ids);
  table.gradient_values =
      support::buffer(support::element_kind::f32, record.gradient.capacity, dim);
  table.gradient_rows = support::buffer(support::element_kind::i64, record.gradient.capacity, 1);
  table.gradient_count = support::buffer(support::element_kind::i64, 1, 1);
  return part;
}

class ColumnParts : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make_device();
    backend_ = device_->make_backend();
  }

  /// Runs `stage` on each part, in column order; every part is a table of its own owner.
  template <typename Stage>
  void on_each(std::vector<support::problem_data>& parts, Stage stage) {
    for (support::problem_data& part : parts) {
      support::placed_problem placed(part, *device_);
      backend_->reserve(support::limits_of(placed.get()));
      stage(placed.get());
      placed.fetch();
    }
  }

  void set_lanes(std::vector<support::problem_data>& parts,
                 std::vector<support::device_array<float>>& lanes) {
    const auto rows = static_cast<std::size_t>(parts[0].tables[0].record.gradient.capacity);
    lanes.clear();
    for (int index = 0; index < 3; ++index) {
      lanes.emplace_back(*device_, std::vector<float>(rows * 32, 0.0F));
    }
    for (support::problem_data& part : parts) {
      for (std::size_t index = 0; index < 3; ++index) {
        part.tables[0].record.shard.row_lanes[index] = lanes[index].data();
      }
    }
  }

  void train(std::vector<support::problem_data>& parts) {
    std::vector<support::device_array<float>> lanes;
    set_lanes(parts, lanes);
    if (parts[0].tables[0].record.renormalize) {
      on_each(parts, [&](const operations::problem& problem) {
        backend_->check_inputs(problem);
        backend_->deduplicate(problem);
        backend_->add_row_lanes(problem, row_reduction::max_norm);
      });
      on_each(parts, [&](const operations::problem& problem) {
        backend_->check_inputs(problem);
        backend_->deduplicate(problem);
        backend_->renormalize_rows(problem);
      });
      set_lanes(parts, lanes);
    }
    on_each(parts, [&](const operations::problem& problem) {
      backend_->check_inputs(problem);
      backend_->deduplicate(problem);
      backend_->reduce_gradients(problem);
      backend_->add_row_lanes(problem, row_reduction::clip_norm);
    });
    for (const row_reduction which : {row_reduction::mean_square, row_reduction::trust_ratio}) {
      on_each(parts,
              [&](const operations::problem& problem) { backend_->add_row_lanes(problem, which); });
    }
    on_each(parts, [&](const operations::problem& problem) { backend_->update_rows(problem); });
  }

  /// Cuts are first columns of the parts after the first.
  void expect_whole(const support::configuration& configuration,
                    const std::vector<std::int32_t>& cuts) {
    support::problem_data whole = support::make_tables(configuration);
    support::draw_batch(configuration, 0, whole);
    std::vector<support::problem_data> parts;
    const std::int32_t dim = whole.tables[0].record.dim;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
      const std::int32_t first = i == 0 ? 0 : cuts[i - 1];
      parts.push_back(part_of(whole, first, (i < cuts.size() ? cuts[i] : dim) - first));
    }
    train(parts);
    const auto one_thread = support::cpu_backend(1).make_device();
    {
      support::placed_problem placed(whole, *one_thread);
      support::run_step(*one_thread->make_backend(), placed.get());
    }
    const support::table_data& expected = whole.tables[0];
    for (const support::problem_data& part : parts) {
      const support::table_data& table = part.tables[0];
      const std::int32_t first = table.record.shard.first_column;
      const std::int64_t rows = table.record.num_rows;
      EXPECT_EQ(
          support::difference(columns_of(expected.rows, rows, first, table.record.dim), table.rows),
          "")
          << "rows of the part from column " << first;
      for (int index = 0; index < 2; ++index) {
        const bool of_elements =
            optimizer_state_shape(table.record.optimizer, index) == state_shape::per_element;
        if (!table.state[index].present) continue;
        EXPECT_EQ(support::difference(
                      of_elements ? columns_of(expected.state[index], rows, first, table.record.dim)
                                  : expected.state[index],
                      table.state[index]),
                  "")
            << "state " << index << " of the part from column " << first;
      }
    }
  }

  std::unique_ptr<support::test_device> device_;
  std::unique_ptr<operations::backend> backend_;
};

support::configuration one_table(std::int32_t dim, dtype row_type) {
  support::configuration configuration;
  configuration.seed = static_cast<std::uint64_t>(dim) + 77;
  support::table_configuration table;
  table.num_rows = 30;
  table.dim = dim;
  table.row_type = row_type;
  table.steps_done = 2;
  table.optimizer.stochastic_rounding = row_type == dtype::bf16;
  configuration.tables = {table};
  support::feature_configuration feature;
  feature.layout = support::bag_layout::offsets;
  feature.mode = pooling_mode::mean;
  feature.num_bags = feature.batch = 20;
  feature.num_lookups = 60;
  configuration.features = {feature};
  return configuration;
}

struct cut_table {
  std::int32_t dim;
  std::vector<std::int32_t> cuts;
};

const std::vector<cut_table>& cut_tables() {
  static const std::vector<cut_table> all = {{10, {4}},    {64, {20}},        {61, {4, 48}},
                                             {132, {128}}, {300, {100, 132}}, {516, {8, 260}}};
  return all;
}

TEST_P(ColumnParts, step_as_the_whole_table) {
  for (const cut_table& cut : cut_tables()) {
    for (const optimizer_kind kind :
         {optimizer_kind::sgd, optimizer_kind::adagrad, optimizer_kind::rowwise_adagrad,
          optimizer_kind::adamw, optimizer_kind::partial_rowwise_adam, optimizer_kind::lamb,
          optimizer_kind::ftrl}) {
      for (const dtype type : {dtype::f32, dtype::bf16}) {
        for (const auto decay :
             {weight_decay_mode::none, weight_decay_mode::l2, weight_decay_mode::decoupled}) {
          const bool own_decay = kind == optimizer_kind::adamw || kind == optimizer_kind::lamb;
          if (own_decay && decay == weight_decay_mode::l2) continue;
          support::configuration configuration = one_table(cut.dim, type);
          support::table_configuration& table = configuration.tables[0];
          table.optimizer.kind = kind;
          table.optimizer.decay_mode = decay;
          table.optimizer.weight_decay = 0.1F;
          table.scale_grad_by_freq = cut.dim % 2 == 0;
          if (decay != weight_decay_mode::none) {
            table.optimizer.clipping = clipping_kind::norm;
            table.optimizer.clipping_limit = 0.5F;
          }
          SCOPED_TRACE(::testing::PrintToString(configuration));
          expect_whole(configuration, cut.cuts);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(ColumnParts, are_renormalized_as_the_whole_table) {
  for (const cut_table& cut : cut_tables()) {
    for (const float p : {1.0F, 2.0F, 3.5F, std::numeric_limits<float>::infinity()}) {
      support::configuration configuration =
          one_table(cut.dim, p == 3.5F ? dtype::f16 : dtype::f32);
      support::table_configuration& table = configuration.tables[0];
      table.renormalize = true;
      table.max_norm = 0.9F;
      table.norm_type = p;
      table.optimizer.clipping = clipping_kind::norm;
      table.optimizer.clipping_limit = 0.25F;
      SCOPED_TRACE(::testing::PrintToString(configuration));
      expect_whole(configuration, cut.cuts);
      if (HasFailure()) return;
    }
  }
}

WARPBAG_FOR_EVERY_BACKEND(ColumnParts);

}  // namespace
}  // namespace warpbag
