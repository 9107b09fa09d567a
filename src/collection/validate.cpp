// SPDX-License-Identifier: Apache-2.0
#include "collection/validate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

#include "collection/validate_checks.hpp"

namespace warpbag::collection {

namespace {

constexpr std::int64_t max_dim = 8192;
constexpr std::int64_t max_rows = std::int64_t{1} << 48;  // of a counter of random numbers (N5)
constexpr std::uint32_t max_rng_tables = 1U << 28;        // likewise
constexpr std::size_t max_tables = max_rng_tables;
constexpr int max_threads = 4096;

/// Positions are the 32-bit payload of the sort, the bag of each position is 32 bits too, and one
/// value is kept to say "none".
constexpr std::int64_t max_positions = (std::int64_t{1} << 32) - 2;
constexpr std::int64_t max_bags = max_positions;

operations::table_record make_table_record(const table_view& view, const subject& name) {
  const tensor_view& weight = view.weight;
  check_table_options({weight.rows, weight.dim, weight.type, view.padding_idx, view.max_norm,
                       view.norm_type, view.optimizer},
                      name);
  check_matrix(weight, weight.rows, weight.dim, name, "weight");
  if (view.rng_table >= max_rng_tables) {
    refuse(name, ": rng_table = ", view.rng_table, ", must be below 2^28");
  }
  return record_of(view);
}

void check_fixed_hotness(const jagged_view& bags, const subject& name) {
  if (bags.hotness < 0) refuse(name, ": hotness = ", bags.hotness, ", must be >= 0");
  if (bags.include_last_offset) refuse(name, ": include_last_offset without offsets");
  const std::int64_t wanted = checked_product(bags.num_bags, bags.hotness);
  if (wanted != bags.ids.size) {
    refuse(name, ": ", bags.ids.size, " ids for ", bags.num_bags, " bags of ", bags.hotness);
  }
}

void check_bags(const jagged_view& bags, const subject& name) {
  if (!is_one_of(bags.ids.type, index_type::i64)) {
    refuse(name, ": ids have the unknown type ", number_of(bags.ids.type));
  }
  if (bags.num_bags < 0) refuse(name, ": num_bags = ", bags.num_bags, ", must be >= 0");
  if (bags.ids.size < 0) refuse(name, ": ids.size = ", bags.ids.size, ", must be >= 0");
  if (bags.offsets.size < 0) {
    refuse(name, ": offsets.size = ", bags.offsets.size, ", must be >= 0");
  }
  if (checked_product(bags.num_bags, 64) < 0) {
    refuse(name, ": num_bags = ", bags.num_bags, " is too large");
  }
  check_pointer(bags.ids.data, bags.ids.size, size_of(bags.ids.type), name, "ids");
  if (bags.offsets.size == 0) {
    check_fixed_hotness(bags, name);
  } else {
    if (bags.offsets.type != bags.ids.type) {
      refuse(name, ": offsets are ", to_string(bags.offsets.type), ", ids are ",
             to_string(bags.ids.type));
    }
    check_pointer(bags.offsets.data, bags.offsets.size, size_of(bags.ids.type), name, "offsets");
    const std::int64_t wanted = bags.num_bags + (bags.include_last_offset ? 1 : 0);
    if (bags.offsets.size != wanted) {
      refuse(name, ": ", bags.offsets.size, " offsets for ", bags.num_bags, " bags, must be ",
             wanted, bags.include_last_offset ? " (with the last offset)" : "");
    }
  }
}

operations::feature_record make_feature_record(const feature_view& view, std::size_t num_tables,
                                               const subject& name) {
  if (view.table < 0 || static_cast<std::size_t>(view.table) >= num_tables) {
    refuse(name, ": table = ", view.table, ", but there are ", num_tables, " tables");
  }
  check_mode(view.mode, name);
  const jagged_view& bags = view.bags;
  check_bags(bags, name);
  const bool takes_weights = view.mode == pooling_mode::sum || view.mode == pooling_mode::mean;
  if (bags.weights != nullptr && !takes_weights) {
    refuse(name, ": weights need mode sum or mean, the mode is ", to_string(view.mode));
  }
  check_pointer(bags.weights, 0, sizeof(float), name, "weights");
  if (view.mode == pooling_mode::max && bags.ids.size > std::numeric_limits<std::int32_t>::max()) {
    refuse(name, ": ", bags.ids.size, " ids; mode max takes fewer than 2^31, for it stores the ",
           "winning positions in 32 bits");
  }
  operations::feature_record record;
  record.table = view.table;
  record.mode = view.mode;
  record.has_last_offset = bags.include_last_offset;
  record.ids = bags.ids.data;
  record.offsets = bags.offsets.size == 0 ? nullptr : bags.offsets.data;
  record.weights = bags.weights;
  record.num_ids = bags.ids.size;
  record.num_bags = bags.num_bags;
  record.hotness = bags.offsets.size == 0 ? bags.hotness : 0;
  record.batch = bags.num_bags;
  return record;
}

void add_tables(std::span<const table_view> tables, const call_names& names,
                call_records& records) {
  if (tables.size() > max_tables) refuse(tables.size(), " tables; a call takes up to 2^28");
  records.tables.clear();
  records.total_rows = 0;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    operations::table_record record = make_table_record(tables[t], names.table(t));
    record.first_row = records.total_rows;
    records.total_rows = checked_sum(records.total_rows, record.num_rows);
    if (records.total_rows < 0) refuse(names.table(t), ": more than 2^62 rows in all tables");
    records.tables.push_back(record);
  }
}

void add_features(std::span<const feature_view> features, const call_names& names,
                  call_records& records) {
  records.features.clear();
  records.total_positions = 0;
  records.total_bags = 0;
  records.max_positions_size = 0;
  records.ids_type = features.empty() ? index_type::i64 : features[0].bags.ids.type;
  for (std::size_t f = 0; f < features.size(); ++f) {
    const subject name = names.feature(f);
    operations::feature_record record =
        make_feature_record(features[f], records.tables.size(), name);
    if (features[f].bags.ids.type != records.ids_type) {
      refuse(name, ": ids are ", to_string(features[f].bags.ids.type), ", those of ",
             names.feature(0), " are ", to_string(records.ids_type));
    }
    record.first_position = records.total_positions;
    record.first_bag = records.total_bags;
    records.total_positions = checked_sum(records.total_positions, record.num_ids);
    if (records.total_positions < 0 || records.total_positions > max_positions) {
      refuse(name, ": with its ", record.num_ids, " ids the batch has 2^32 - 1 or more");
    }
    records.total_bags = checked_sum(records.total_bags, record.num_bags);
    if (records.total_bags < 0 || records.total_bags > max_bags) {
      refuse(name, ": with its ", record.num_bags, " bags the batch has 2^32 - 1 or more");
    }
    if (record.mode == pooling_mode::max) {
      const std::int64_t dim = records.tables[static_cast<std::size_t>(record.table)].dim;
      const std::int64_t elements = checked_product(record.num_bags, dim * std::int64_t{4}) / 4;
      records.max_positions_size = checked_sum(records.max_positions_size, elements);
      if (elements < 0 || records.max_positions_size < 0) {
        refuse(name, ": num_bags = ", record.num_bags, " is too large for mode max");
      }
    }
    records.features.push_back(record);
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const subject& subject) {
  const auto& names = subject.is_table ? subject.names->tables : subject.names->features;
  out << (subject.is_table ? "table " : "feature ");
  if (subject.index < names.size()) return out << '"' << names[subject.index] << '"';
  return out << subject.index;
}

operations::problem_limits call_records::limits() const {
  operations::problem_limits limits;
  limits.tables = static_cast<std::int64_t>(tables.size());
  limits.features = static_cast<std::int64_t>(features.size());
  limits.positions = total_positions;
  limits.bags = total_bags;
  limits.rows = total_rows;
  for (const auto& table : tables) {
    limits.max_dim = std::max<std::int64_t>(limits.max_dim, table.dim);
  }
  for (const auto& feature : features) limits.weighted |= feature.weights != nullptr;
  return limits;
}

bool call_records::wants_weights_of_means() const {
  return std::any_of(features.begin(), features.end(), [](const auto& feature) {
    return feature.mode == pooling_mode::mean && feature.weight_gradient != nullptr;
  });
}

void check_resources(const resources& resources) {
  const device where = resources.where;
  if (!is_one_of(where.kind, device_kind::cuda)) {
    refuse("the device has the unknown kind ", number_of(where.kind));
  }
  const bool on_cpu = where.kind == device_kind::cpu;
  if (where.ordinal < 0 || (on_cpu && where.ordinal != 0)) {
    refuse("device ", to_string(where.kind), " ", where.ordinal, " cannot be");
  }
  if (!on_cpu && resources.stream == nullptr) {
    refuse("stream is nullptr, CUDA's legacy default stream, which hides missing dependencies; ",
           "give a stream of your own");
  }
  if (resources.num_threads < 0 || resources.num_threads > max_threads) {
    refuse("num_threads = ", resources.num_threads, ", must be in [0, ", max_threads, "]");
  }
}

resources completed(resources resources) {
  check_resources(resources);
  if (resources.memory == nullptr) resources.memory = &default_memory_resource(resources.where);
  return resources;
}

void check_policy(bad_id_policy policy) {
  if (!is_one_of(policy, bad_id_policy::zero)) {
    refuse("the bad id policy has the unknown value ", number_of(policy));
  }
}

void check_mode(pooling_mode mode, const subject& name) {
  if (!is_one_of(mode, pooling_mode::none)) {
    refuse(name, ": the mode has the unknown value ", number_of(mode));
  }
}

void check_table_options(const table_options& options, const subject& name) {
  if (options.num_embeddings < 1 || options.num_embeddings >= max_rows) {
    refuse(name, ": num_embeddings = ", options.num_embeddings, ", must be in [1, 2^48)");
  }
  if (options.embedding_dim < 1 || options.embedding_dim > max_dim) {
    refuse(name, ": embedding_dim = ", options.embedding_dim, ", must be in [1, ", max_dim, "]");
  }
  if (!is_one_of(options.type, dtype::bf16)) {
    refuse(name, ": the type of the rows has the unknown value ", number_of(options.type));
  }
  if (options.padding_idx && (*options.padding_idx < -options.num_embeddings ||
                              *options.padding_idx >= options.num_embeddings)) {
    refuse(name, ": padding_idx = ", *options.padding_idx, ", must be in [",
           -options.num_embeddings, ", ", options.num_embeddings, ")");
  }
  if (options.max_norm && !(*options.max_norm >= 0.0F)) {
    refuse(name, ": max_norm = ", *options.max_norm, ", must be >= 0");
  }
  if (!(options.norm_type > 0.0F)) {
    refuse(name, ": norm_type = ", options.norm_type, ", must be > 0 (infinity is allowed)");
  }
  try {
    validate(options.optimizer);
  } catch (const invalid_argument& fault) {
    refuse(name, ": ", fault.what());
  }
}

void check_matrix(const const_tensor_view& view, std::int64_t rows, std::int64_t dim,
                  const subject& name, const char* what) {
  if (!is_one_of(view.type, dtype::bf16)) {
    refuse(name, ": ", what, " has the unknown type ", number_of(view.type));
  }
  if (view.rows != rows || view.dim != dim) {
    refuse(name, ": ", what, " is [", view.rows, ", ", view.dim, "], must be [", rows, ", ", dim,
           "]");
  }
  if (view.stride < view.dim) {
    refuse(name, ": ", what, " has stride ", view.stride, ", less than its dim ", view.dim);
  }
  const std::int64_t elements = checked_product(view.rows, view.stride);
  const auto element_bytes = static_cast<std::int64_t>(size_of(view.type));
  if (elements < 0 || checked_product(elements, element_bytes) < 0) {
    refuse(name, ": ", what, " of ", view.rows, " rows of stride ", view.stride, " is too large");
  }
  check_pointer(view.data, elements, size_of(view.type), name, what);
}

operations::table_record record_of(const table_view& view) {
  const tensor_view& weight = view.weight;
  operations::table_record record;
  record.rows = weight.data;
  record.num_rows = weight.rows;
  record.row_stride = weight.stride;
  record.dim = static_cast<std::int32_t>(weight.dim);
  record.row_type = weight.type;
  record.padding_idx = padding_row(view.padding_idx, weight.rows);
  record.scale_grad_by_freq = view.scale_grad_by_freq;
  record.renormalize = view.max_norm.has_value();
  record.max_norm = view.max_norm.value_or(0.0F);
  record.norm_type = view.norm_type;
  record.rng_table = view.rng_table;
  record.seed = view.seed;
  record.optimizer = view.optimizer;
  record.state[0] = view.state[0];
  record.state[1] = view.state[1];
  record.step = view.step;
  return record;
}

void make_records(std::span<const table_view> tables, std::span<const feature_view> features,
                  const call_names& names, call_records& records) {
  add_tables(tables, names, records);
  add_features(features, names, records);
}

void make_feature_records(std::span<const feature_view> features, const call_names& names,
                          call_records& records) {
  add_features(features, names, records);
}

}  // namespace warpbag::collection
