// SPDX-License-Identifier: Apache-2.0
#include "sharding/layout.hpp"

#include <algorithm>
#include <bit>

#include "collection/refuse.hpp"
#include "io/checksum.hpp"

namespace warpbag::sharding {

namespace {

table_layout layout_of(const table_plan& plan, const table_config& table, std::uint32_t number) {
  table_layout result;
  result.routing = numerics::make_row_routing(table.num_embeddings, number);
  result.replicated = plan.replicated_rows;
  result.partial_bags = plan.exchange == row_exchange::partial_bags;
  if (plan.kind == sharding_kind::data_parallel) return result;
  const auto num_pieces = static_cast<std::size_t>(plan.column_pieces);
  const std::size_t owners = plan.ranks.size() / num_pieces;
  result.num_owners = static_cast<int>(owners);
  for (std::size_t p = 0; p < num_pieces; ++p) {
    const int piece = static_cast<int>(p);
    const std::int64_t first = first_column_of(table.embedding_dim, plan.column_pieces, piece);
    const std::int64_t end = first_column_of(table.embedding_dim, plan.column_pieces, piece + 1);
    const auto ranks = plan.ranks.begin() + static_cast<std::ptrdiff_t>(p * owners);
    result.pieces.push_back(
        {first, end - first, {ranks, ranks + static_cast<std::ptrdiff_t>(owners)}});
  }
  return result;
}

class schema_hash {
 public:
  void add(std::string_view text) {
    add_number(text.size());
    sum_.add(std::as_bytes(std::span(text)));
  }
  template <typename Number>
  void add_number(Number number) {
    sum_.add(std::as_bytes(std::span(&number, 1)));
  }
  std::uint64_t value() const { return sum_.value(); }

 private:
  io::checksum sum_;
};

void add_optimizer(schema_hash& hash, const optimizer_options& options) {
  hash.add_number(options.kind);
  for (const float number :
       {options.momentum, options.beta1, options.beta2, options.eps, options.initial_accumulator,
        options.ftrl_beta, options.l1, options.l2, options.weight_decay, options.clipping_limit}) {
    hash.add_number(std::bit_cast<std::uint32_t>(number));
  }
  hash.add_number(options.decay_mode);
  hash.add_number(options.clipping);
  hash.add_number(options.stochastic_rounding);
}

}  // namespace

layout::layout(const sharding_plan& plan, std::span<const table_config> tables)
    : parts_(static_cast<std::size_t>(plan.num_ranks)) {
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const auto of_table = std::find_if(
        plan.tables.begin(), plan.tables.end(),
        [&](const table_plan& candidate) { return candidate.table == tables[t].name; });
    tables_.push_back(layout_of(*of_table, tables[t], static_cast<std::uint32_t>(t)));
    if (tables_[t].has_replica() && tables[t].max_norm) renormalized_replicas_.push_back(t);
    for (std::size_t p = 0; p < tables_[t].pieces.size(); ++p) {
      for (int owner = 0; owner < tables_[t].num_owners; ++owner) {
        const table_part part = {t, p, owner};
        parts_[static_cast<std::size_t>(rank_of(part))].push_back(part);
      }
    }
  }
}

void check_exchange(const sharding_plan& plan, std::span<const feature_config> features,
                    const collection_options& options) {
  for (const table_plan& table : plan.tables) {
    if (table.exchange != row_exchange::partial_bags) continue;
    if (!options.allow_inexact) {
      collection::refuse("plan of table '", table.table,
                         "': sums of partial_bags depend on the number of ranks, and "
                         "collection_options::allow_inexact is not set");
    }
    for (const feature_config& feature : features) {
      if (feature.table != table.table || feature.mode == pooling_mode::sum ||
          feature.mode == pooling_mode::mean) {
        continue;
      }
      collection::refuse("plan of table '", table.table, "': feature '", feature.name,
                         "' has mode ", to_string(feature.mode),
                         ", and partial_bags can add up sums and means only");
    }
  }
}

std::uint64_t schema_of(const sharding_plan& plan, std::span<const table_config> tables,
                        std::span<const feature_config> features,
                        const collection_options& options) {
  schema_hash hash;
  hash.add_number(numerics::routing_version);
  hash.add(to_json(plan));
  hash.add_number(options.seed);
  hash.add_number(options.policy);
  for (const table_config& table : tables) {
    hash.add(table.name);
    hash.add_number(table.num_embeddings);
    hash.add_number(table.embedding_dim);
    hash.add_number(table.type);
    hash.add_number(table.padding_idx.value_or(-table.num_embeddings - 1));
    hash.add_number(std::bit_cast<std::uint32_t>(table.max_norm.value_or(-1.0F)));
    hash.add_number(std::bit_cast<std::uint32_t>(table.norm_type));
    hash.add_number(table.scale_grad_by_freq);
    hash.add_number(table.freeze);
    add_optimizer(hash, table.optimizer);
  }
  for (const feature_config& feature : features) {
    hash.add(feature.name);
    hash.add(feature.table);
    hash.add_number(feature.mode);
  }
  return hash.value();
}

}  // namespace warpbag::sharding
