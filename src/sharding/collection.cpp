// SPDX-License-Identifier: Apache-2.0
#include "warpbag/sharded_collection.hpp"

#include <bit>

#include "collection/refuse.hpp"
#include "collection/validate.hpp"
#include "sharding/counting_resource.hpp"
#include "sharding/step.hpp"

namespace warpbag {

namespace {

/// What a collection must know before it makes anything.
void check_ranks(const transport* ranks, const sharding_plan& plan, const resources& resources) {
  if (ranks == nullptr) collection::refuse("there is no transport");
  if (ranks->size() != plan.num_ranks) {
    collection::refuse("a plan for ", plan.num_ranks, " ranks, the transport has ", ranks->size());
  }
  if (ranks->where() != resources.where) {
    collection::refuse("the transport works on ", to_string(ranks->where().kind), " ",
                       ranks->where().ordinal, ", the collection on ",
                       to_string(resources.where.kind), " ", resources.where.ordinal);
  }
  if (ranks->stream() != resources.stream && resources.where.kind == device_kind::cuda) {
    collection::refuse("the transport works on another stream than the collection");
  }
}

}  // namespace

struct sharded_embedding_bag_collection::implementation {
  implementation(std::vector<table_config> tables, std::vector<feature_config> features,
                 const sharding_plan& given_plan, std::shared_ptr<transport> given_ranks,
                 const resources& given_resources, const collection_options& options)
      : resources_(collection::completed(given_resources)),
        plan(given_plan),
        access(operations::make_device_access(resources_)),
        scratch(*resources_.memory),
        scratch_access(operations::make_device_access(scratch_resources())),
        configured(std::move(tables), std::move(features), options),
        layout(checked(given_plan), configured.tables()),
        ranks(std::move(given_ranks)) {
    collection::check_policy(options.policy);
    check_ranks(ranks.get(), plan, resources_);
    configured.place_steps(*access);
    {
      sharding::working_backend backend(resources_);
      shards.emplace(layout, ranks->rank(), configured, *access, backend.get());
    }
    configured.drop_pretrained();
    for (const sharding::shard& shard : shards->shards()) {
      shard_views.push_back({shard.table, shard.num_rows, shard.first_column,
                             shard.memory.weight().dim, shard.is_replica});
    }
    for (const table_config& table : configured.tables()) {
      rates.push_back(table.optimizer.learning_rate);
    }
    const std::uint64_t schema =
        sharding::schema_of(plan, configured.tables(), configured.features(), options);
    step.emplace(scratch_resources(), layout, *shards, configured, *scratch_access, ranks, schema);
  }

  /// What steps run with: their memory is counted.
  resources scratch_resources() {
    resources counted = resources_;
    counted.memory = &scratch;
    return counted;
  }

  const sharding_plan& checked(const sharding_plan& given) const {
    validate(given, configured.tables());
    sharding::check_exchange(given, configured.features(), configured.options());
    return given;
  }

  void check_shard(std::size_t shard) const {
    if (shard >= shard_views.size()) {
      collection::refuse("shard ", shard, ", but this rank has ", shard_views.size());
    }
  }

  /// Ranks with different learning rates would part without a word.
  std::uint64_t rates_hash() const {
    std::uint64_t hash = 0;
    for (const float rate : rates)
      hash = numerics::mixed(hash + std::bit_cast<std::uint32_t>(rate));
    return hash;
  }

  resources resources_;
  sharding_plan plan;
  std::unique_ptr<operations::device_access> access;  // outlives all memory below
  sharding::counting_resource scratch;
  std::unique_ptr<operations::device_access> scratch_access;  // likewise
  collection::configured_tables configured;
  sharding::layout layout;
  std::shared_ptr<transport> ranks;
  std::optional<sharding::shard_memory> shards;
  std::vector<table_shard> shard_views;
  std::vector<float> rates;  // as set, by table
  std::optional<sharding::sharded_step> step;
};

sharded_embedding_bag_collection::sharded_embedding_bag_collection(
    std::vector<table_config> tables, std::vector<feature_config> features,
    const sharding_plan& plan, std::shared_ptr<transport> ranks, const resources& resources,
    const collection_options& options)
    : implementation_(std::make_unique<implementation>(std::move(tables), std::move(features), plan,
                                                       std::move(ranks), resources, options)) {}
sharded_embedding_bag_collection::sharded_embedding_bag_collection(
    sharded_embedding_bag_collection&&) noexcept = default;
sharded_embedding_bag_collection& sharded_embedding_bag_collection::operator=(
    sharded_embedding_bag_collection&&) noexcept = default;
sharded_embedding_bag_collection::~sharded_embedding_bag_collection() = default;

void sharded_embedding_bag_collection::reserve(std::span<const jagged_view> bags) {
  implementation_->step->reserve(bags);
}

void sharded_embedding_bag_collection::prefetch(std::span<const jagged_view> bags) {
  auto& self = *implementation_;
  self.step->prefetch(bags);
}

void sharded_embedding_bag_collection::forward(std::span<const jagged_view> bags,
                                               std::span<const tensor_view> outputs) {
  auto& self = *implementation_;
  self.step->forward(bags, outputs);
}

void sharded_embedding_bag_collection::backward(std::span<const jagged_view> bags,
                                                std::span<const const_tensor_view> output_gradients,
                                                std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  self.step->backward(bags, output_gradients, collection::fused_target{}, weight_gradients,
                      self.rates_hash());
}

void sharded_embedding_bag_collection::backward_sparse(
    std::span<const jagged_view> bags, std::span<const const_tensor_view> output_gradients,
    std::span<const sparse_gradient> gradients, std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  self.step->backward(bags, output_gradients, gradients, weight_gradients, self.rates_hash());
}

void sharded_embedding_bag_collection::backward_dense(
    std::span<const jagged_view> bags, std::span<const const_tensor_view> output_gradients,
    std::span<const tensor_view> gradients, std::span<float* const> weight_gradients) {
  auto& self = *implementation_;
  self.step->backward(bags, output_gradients, gradients, weight_gradients, self.rates_hash());
}

void sharded_embedding_bag_collection::apply_gradients(std::span<const sparse_gradient> gradients) {
  auto& self = *implementation_;
  self.step->apply_gradients(gradients, self.rates_hash());
}

std::int64_t sharded_embedding_bag_collection::gradient_capacity(std::size_t shard) const {
  implementation_->check_shard(shard);
  return implementation_->step->gradient_capacity(shard);
}

void sharded_embedding_bag_collection::check() { implementation_->step->check(); }

std::int64_t sharded_embedding_bag_collection::bad_ids() {
  return implementation_->step->bad_ids();
}

void sharded_embedding_bag_collection::set_learning_rate(float learning_rate) {
  auto& self = *implementation_;
  self.configured.set_learning_rate(learning_rate);
  self.rates.assign(self.rates.size(), learning_rate);
}

void sharded_embedding_bag_collection::set_learning_rate(std::string_view table,
                                                         float learning_rate) {
  auto& self = *implementation_;
  const std::size_t t = table_index(table);
  self.configured.set_learning_rate(t, learning_rate);
  self.rates[t] = learning_rate;
}

step_state sharded_embedding_bag_collection::step_of(std::size_t table) {
  return implementation_->configured.step_of(table);
}

void sharded_embedding_bag_collection::set_step(std::size_t table, const step_state& state) {
  auto& self = *implementation_;
  self.configured.set_step(table, state);
  self.rates[table] = state.learning_rate;
}

std::size_t sharded_embedding_bag_collection::num_tables() const {
  return implementation_->configured.tables().size();
}
std::size_t sharded_embedding_bag_collection::num_features() const {
  return implementation_->configured.features().size();
}
const table_config& sharded_embedding_bag_collection::config(std::size_t table) const {
  return implementation_->configured.table(table);
}
const feature_config& sharded_embedding_bag_collection::feature(std::size_t feature) const {
  return implementation_->configured.feature(feature);
}
std::size_t sharded_embedding_bag_collection::table_index(std::string_view name) const {
  return implementation_->configured.table_index(name);
}
const resources& sharded_embedding_bag_collection::get_resources() const {
  return implementation_->resources_;
}
const collection_options& sharded_embedding_bag_collection::options() const {
  return implementation_->configured.options();
}
const sharding_plan& sharded_embedding_bag_collection::plan() const {
  return implementation_->plan;
}
transport& sharded_embedding_bag_collection::ranks() { return *implementation_->ranks; }

std::size_t sharded_embedding_bag_collection::num_shards() const {
  return implementation_->shard_views.size();
}
const table_shard& sharded_embedding_bag_collection::shard(std::size_t shard) const {
  implementation_->check_shard(shard);
  return implementation_->shard_views[shard];
}

std::int64_t sharded_embedding_bag_collection::row_id(std::size_t shard, std::int64_t row) const {
  implementation_->check_shard(shard);
  if (row < 0 || row >= implementation_->shard_views[shard].num_rows) {
    collection::refuse("row ", row, " of shard ", shard, ", which has ",
                       implementation_->shard_views[shard].num_rows);
  }
  return implementation_->shards->shards()[shard].id_of(row);
}

tensor_view sharded_embedding_bag_collection::weight(std::size_t shard) {
  implementation_->check_shard(shard);
  return implementation_->shards->shards()[shard].memory.weight();
}

tensor_view sharded_embedding_bag_collection::state(std::size_t shard, int index) {
  implementation_->check_shard(shard);
  if (index != 0 && index != 1) collection::refuse("optimizer state ", index, ", must be 0 or 1");
  return implementation_->shards->shards()[shard].memory.state(index);
}

void sharded_embedding_bag_collection::copy_to_host(const_tensor_view source, void* host) {
  collection::check_host_copy(source, host);
  implementation_->access->copy_to_host(host, source);
}

void sharded_embedding_bag_collection::copy_from_host(const void* host, tensor_view destination) {
  collection::check_host_copy(destination, host);
  implementation_->access->copy_from_host(destination, host);
}

std::size_t sharded_embedding_bag_collection::workspace_bytes() const {
  return implementation_->scratch.bytes();
}

void sharded_embedding_bag_collection::share_padding_rows() {
  implementation_->step->share_padding_rows();
}

const step_traffic& sharded_embedding_bag_collection::last_traffic() const {
  return implementation_->step->last_traffic();
}

}  // namespace warpbag
