// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "numerics/optimizer_rules.hpp"
#include "support/configuration.hpp"
#include "support/random_source.hpp"

namespace warpbag::support {

using operations::gradient_form;

namespace {

float random_value(random_source& random, value_choice choice) {
  if (choice == value_choice::verifiable) {
    return static_cast<float>(random.below(257) - 128) / 256.0F;
  }
  if (choice == value_choice::special && random.chance(0.02)) {
    return random.pick({0.0F, -0.0F, std::numeric_limits<float>::infinity(),
                        -std::numeric_limits<float>::infinity(),
                        std::numeric_limits<float>::quiet_NaN(), 1e-42F, -3e-40F, 3e-8F, 3e38F,
                        -1e30F, 65520.0F, -65504.0F});
  }
  return static_cast<float>(random.unit() * 2.0 - 1.0);
}

float random_weight(random_source& random, value_choice choice) {
  if (choice == value_choice::verifiable) return random.pick({0.5F, 1.0F, 2.0F});
  if (choice == value_choice::special) return random_value(random, choice);
  return static_cast<float>(random.unit() * 3.0 - 1.0);
}

/// The elements of rows; gaps and lead keep their pattern.
void draw_rows(random_source& random, value_choice choice, std::int64_t rows, std::int64_t dim,
               buffer& contents) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < dim; ++column) {
      contents.set(row * contents.stride + column, random_value(random, choice));
    }
  }
}

/// Sums of squares are not negative; the other states may be anything.
void draw_state(random_source& random, const table_configuration& table, int index,
                buffer& contents) {
  const state_shape shape = optimizer_state_shape(table.optimizer, index);
  if (shape == state_shape::absent) return;
  const std::int64_t width = shape == state_shape::per_row ? 1 : table.dim;
  contents = buffer(element_kind::f32, table.num_rows, width);
  const std::string_view name = optimizer_state_name(table.optimizer, index);
  const bool squares = name == "sum" || name == "exp_avg_sq" || name == "n";
  for (std::int64_t i = 0; i < table.num_rows * width; ++i) {
    const float x = table.steps_done == 0 ? table.optimizer.initial_accumulator
                                          : static_cast<float>(random.unit()) * 0.1F;
    const float signed_state =
        table.steps_done == 0 ? 0.0F : static_cast<float>(random.unit() - 0.5) * 0.1F;
    contents.set(i, squares ? x : signed_state);
  }
}

table_data make_table(random_source& random, const configuration& c, std::size_t index) {
  const table_configuration& table = c.tables[index];
  table_data data;
  operations::table_record& record = data.record;
  record.num_rows = table.num_rows;
  record.row_stride = table.dim + table.row_gap;
  record.padding_idx = table.padding_idx;
  record.dim = table.dim;
  record.row_type = table.row_type;
  record.scale_grad_by_freq = table.scale_grad_by_freq;
  record.renormalize = table.renormalize;
  record.max_norm = table.max_norm;
  record.norm_type = table.norm_type;
  record.rng_table = static_cast<std::uint32_t>(index);
  record.seed = c.seed * 1000003U + 17U;
  record.optimizer = table.optimizer;
  record.gradient.form = table.form;
  record.gradient.value_type = table.value_type;
  data.rows = buffer(kind_of(table.row_type), table.num_rows, record.row_stride, table.row_lead);
  draw_rows(random, c.values, table.num_rows, table.dim, data.rows);
  for (int state = 0; state < 2; ++state) draw_state(random, table, state, data.state[state]);
  data.step = buffer(element_kind::step, 1, 1);
  step_state step;
  step.learning_rate = table.optimizer.learning_rate;
  for (std::uint64_t i = 0; i < table.steps_done; ++i) numerics::advance(step, table.optimizer);
  data.step.as<step_state>()[0] = step;
  return data;
}

std::vector<std::int64_t> draw_lengths(random_source& random,
                                       const feature_configuration& feature) {
  if (!feature.lengths.empty()) return feature.lengths;
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(feature.num_bags), 0);
  if (lengths.empty() || feature.bags == bag_choice::empty) return lengths;
  std::int64_t left =
      random.chance(0.5) ? feature.num_lookups : random.below(feature.num_lookups + 1);
  const auto any_bag = [&] { return static_cast<std::size_t>(random.below(feature.num_bags)); };
  if (feature.bags == bag_choice::one_takes_most) {
    const std::int64_t most = left - left / 8;
    lengths[any_bag()] += most;
    left -= most;
  }
  const std::int64_t share =
      feature.bags == bag_choice::mostly_empty ? 1 + left / 4 : 1 + left / feature.num_bags / 2;
  while (left > 0) {
    const std::int64_t next = std::min(left, 1 + random.below(share));
    lengths[any_bag()] += next;
    left -= next;
  }
  return lengths;
}

std::int64_t draw_id(random_source& random, const configuration& c, id_choice choice,
                     std::int64_t num_rows, std::int64_t equal_id) {
  if (random.chance(c.bad_id_chance)) {
    return random.pick<std::int64_t>({-1, num_rows, num_rows + 7, -1000,
                                      std::numeric_limits<std::int32_t>::max(),
                                      std::numeric_limits<std::int32_t>::min()});
  }
  if (choice == id_choice::equal) return equal_id;
  if (choice == id_choice::uniform) return random.below(num_rows);
  const double u = random.unit();
  return static_cast<std::int64_t>(u * u * u * u * static_cast<double>(num_rows));
}

/// Offsets of a layout that has them; ids; weights.
void draw_lookups(random_source& random, const configuration& c,
                  const feature_configuration& feature, feature_data& data) {
  operations::feature_record& record = data.record;
  record.num_ids = feature.num_lookups;
  if (feature.layout == bag_layout::fixed) {
    record.hotness = feature.num_bags == 0 ? 0 : feature.num_lookups / feature.num_bags;
  } else {
    const std::vector<std::int64_t> lengths = draw_lengths(random, feature);
    record.has_last_offset = feature.layout == bag_layout::offsets_with_last;
    data.offsets =
        buffer(kind_of(c.ids_type), record.num_bags + (record.has_last_offset ? 1 : 0), 1);
    std::int64_t offset = 0;
    for (std::int64_t bag = 0; bag < record.num_bags; ++bag) {
      data.offsets.set(bag, offset);
      offset += lengths[static_cast<std::size_t>(bag)];
    }
    if (record.has_last_offset) data.offsets.set(record.num_bags, offset);
    record.num_ids = offset + feature.unused_ids;
  }
  const std::int64_t num_rows = c.tables[static_cast<std::size_t>(feature.table)].num_rows;
  const std::int64_t equal_id = random.below(num_rows);
  data.ids = buffer(kind_of(c.ids_type), record.num_ids, 1);
  for (std::int64_t i = 0; i < record.num_ids; ++i) {
    data.ids.set(i, draw_id(random, c, feature.ids, num_rows, equal_id));
  }
  // Ids beyond the last offset are not read: whatever they hold is no fault.
  for (std::int64_t i = record.num_ids - feature.unused_ids; i < record.num_ids; ++i) {
    data.ids.set(i, random.pick<std::int64_t>({-5, num_rows, 0}));
  }
  if (!feature.weighted) return;
  data.weights = buffer(element_kind::f32, record.num_ids, 1);
  for (std::int64_t i = 0; i < record.num_ids; ++i) {
    data.weights.set(i, random_weight(random, c.values));
  }
}

feature_data draw_feature(random_source& random, const configuration& c,
                          const feature_configuration& feature) {
  feature_data data;
  operations::feature_record& record = data.record;
  record.table = feature.table;
  record.mode = feature.mode;
  record.num_bags = feature.num_bags;
  record.first_sample = feature.first_sample;
  record.batch = feature.batch;
  draw_lookups(random, c, feature, data);
  const std::int64_t dim = c.tables[static_cast<std::size_t>(feature.table)].dim;
  const std::int64_t rows = feature.mode == pooling_mode::none ? record.num_ids : record.num_bags;
  record.output_stride = dim + feature.output_gap;
  record.gradient_stride = dim + feature.gradient_gap;
  data.output = buffer(kind_of(c.output_type), rows, record.output_stride);
  data.gradient = buffer(kind_of(c.gradient_type), rows, record.gradient_stride);
  draw_rows(random, c.values, rows, dim, data.gradient);
  if (feature.wants_weight_gradient) {
    data.weight_gradient = buffer(element_kind::f32, record.num_ids, 1);
  }
  if (feature.mode == pooling_mode::max) {
    data.max_positions = buffer(element_kind::i32, record.num_bags, dim);
  }
  return data;
}

void make_gradient_room(const problem_data& data, std::size_t index, table_data& table) {
  operations::gradient_record& gradient = table.record.gradient;
  const element_kind kind = kind_of(gradient.value_type);
  if (gradient.form == gradient_form::dense) {
    table.gradient_values = buffer(kind, table.record.num_rows, table.record.dim);
  } else if (gradient.form == gradient_form::sparse) {
    std::int64_t lookups = 0;
    for (const feature_data& feature : data.features) {
      if (feature.record.table == static_cast<std::int32_t>(index))
        lookups += feature.record.num_ids;
    }
    gradient.capacity = std::min(table.record.num_rows, lookups);
    table.gradient_values = buffer(kind, gradient.capacity, table.record.dim);
    table.gradient_rows = buffer(element_kind::i64, gradient.capacity, 1);
    table.gradient_count = buffer(element_kind::i64, 1, 1);
  }
}

}  // namespace

problem_data make_tables(const configuration& c) {
  random_source random(c.seed ^ 0x5EEDED7AB1E5ULL);
  problem_data data;
  data.ids_type = c.ids_type;
  data.output_type = c.output_type;
  data.gradient_type = c.gradient_type;
  data.policy = c.policy;
  for (std::size_t t = 0; t < c.tables.size(); ++t) data.tables.push_back(make_table(random, c, t));
  return data;
}

void draw_batch(const configuration& c, std::int64_t step, problem_data& data) {
  random_source random(c.seed ^ (static_cast<std::uint64_t>(step) + 1U) * 0x9E3779B97F4A7C15ULL);
  data.features.clear();
  for (const feature_configuration& feature : c.features) {
    data.features.push_back(draw_feature(random, c, feature));
  }
  for (std::size_t t = 0; t < data.tables.size(); ++t) {
    make_gradient_room(data, t, data.tables[t]);
  }
}

}  // namespace warpbag::support
