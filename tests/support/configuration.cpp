// SPDX-License-Identifier: Apache-2.0
#include "support/configuration.hpp"

#include <cstdlib>
#include <ostream>
#include <string>

namespace warpbag::support {

namespace {

const char* name_of(operations::gradient_form form) {
  switch (form) {
    case operations::gradient_form::none: return "frozen";
    case operations::gradient_form::fused: return "fused";
    case operations::gradient_form::sparse: return "sparse";
    case operations::gradient_form::dense: return "dense";
  }
  return "?";
}

const char* name_of(bag_layout layout) {
  switch (layout) {
    case bag_layout::fixed: return "fixed";
    case bag_layout::offsets: return "offsets";
    case bag_layout::offsets_with_last: return "offsets with last";
  }
  return "?";
}

const char* name_of(id_choice ids) {
  switch (ids) {
    case id_choice::uniform: return "uniform";
    case id_choice::skewed: return "skewed";
    case id_choice::equal: return "equal";
  }
  return "?";
}

const char* name_of(bag_choice bags) {
  switch (bags) {
    case bag_choice::even: return "even";
    case bag_choice::mostly_empty: return "mostly empty";
    case bag_choice::empty: return "empty";
    case bag_choice::one_takes_most: return "one takes most";
  }
  return "?";
}

const char* name_of(value_choice values) {
  switch (values) {
    case value_choice::ordinary: return "ordinary";
    case value_choice::verifiable: return "verifiable";
    case value_choice::special: return "special";
  }
  return "?";
}

const char* name_of(weight_decay_mode mode) {
  switch (mode) {
    case weight_decay_mode::none: return "none";
    case weight_decay_mode::l2: return "l2";
    case weight_decay_mode::decoupled: return "decoupled";
  }
  return "?";
}

const char* name_of(clipping_kind kind) {
  switch (kind) {
    case clipping_kind::none: return "none";
    case clipping_kind::value: return "value";
    case clipping_kind::norm: return "norm";
  }
  return "?";
}

void print(std::ostream& stream, const table_configuration& table) {
  const optimizer_options& o = table.optimizer;
  stream << table.num_rows << " x " << table.dim << " " << to_string(table.row_type) << ", gap "
         << table.row_gap << ", lead " << table.row_lead << ", padding " << table.padding_idx;
  if (table.renormalize) stream << ", max_norm " << table.max_norm << " of " << table.norm_type;
  if (table.scale_grad_by_freq) stream << ", frequency";
  stream << ", " << name_of(table.form) << " " << to_string(table.value_type)
         << (table.apply_sparse ? " applied" : "") << ", " << to_string(o.kind) << " after "
         << table.steps_done << " steps: lr " << o.learning_rate << ", momentum " << o.momentum
         << ", betas " << o.beta1 << " " << o.beta2 << ", eps " << o.eps << ", l1 " << o.l1
         << ", l2 " << o.l2 << ", ftrl_beta " << o.ftrl_beta << ", decay " << name_of(o.decay_mode)
         << " " << o.weight_decay << ", clipping " << name_of(o.clipping) << " " << o.clipping_limit
         << (o.stochastic_rounding ? ", stochastic rounding" : "");
}

void print(std::ostream& stream, const feature_configuration& feature) {
  stream << "table " << feature.table << ", " << to_string(feature.mode) << ", "
         << name_of(feature.layout) << ", " << feature.num_bags << " bags ("
         << name_of(feature.bags) << "), up to " << feature.num_lookups << " lookups ("
         << name_of(feature.ids) << "), " << feature.unused_ids << " unused"
         << (feature.weighted ? ", weighted" : "")
         << (feature.wants_weight_gradient ? " with gradient" : "") << ", gaps "
         << feature.output_gap << " " << feature.gradient_gap << ", samples from "
         << feature.first_sample << " of " << feature.batch;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const configuration& configuration) {
  stream << "WARPBAG_TEST_SEED=" << configuration.seed << ": ids "
         << to_string(configuration.ids_type) << ", outputs "
         << to_string(configuration.output_type) << ", gradients "
         << to_string(configuration.gradient_type) << ", policy " << to_string(configuration.policy)
         << " (chance " << configuration.bad_id_chance << "), values "
         << name_of(configuration.values) << ", " << configuration.steps << " steps\n";
  for (const table_configuration& table : configuration.tables) {
    stream << "  table: ";
    print(stream, table);
    stream << "\n";
  }
  for (const feature_configuration& feature : configuration.features) {
    stream << "  feature: ";
    print(stream, feature);
    stream << "\n";
  }
  return stream;
}

std::vector<std::uint64_t> seeds_of_test(std::uint64_t first, std::int64_t count) {
  if (const char* seed = std::getenv("WARPBAG_TEST_SEED")) return {std::stoull(seed)};
  if (const char* number = std::getenv("WARPBAG_TEST_CONFIGURATIONS")) count = std::stoll(number);
  std::vector<std::uint64_t> seeds;
  for (std::int64_t i = 0; i < count; ++i) seeds.push_back(first + static_cast<std::uint64_t>(i));
  return seeds;
}

}  // namespace warpbag::support
