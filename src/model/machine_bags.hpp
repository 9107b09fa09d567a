// SPDX-License-Identifier: Apache-2.0
#pragma once
// The embedding bags of a machine: a collection on one device, or one that is split over ranks.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "warpbag/collection.hpp"
#include "warpbag/safetensors.hpp"
#include "warpbag/sharding_plan.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::model {

class machine_bags {
 public:
  machine_bags() = default;
  machine_bags(const machine_bags&) = delete;
  machine_bags& operator=(const machine_bags&) = delete;
  virtual ~machine_bags() = default;

  /// Perhaps starts on the bags of the next forward.
  virtual void prefetch(std::span<const jagged_view> bags) = 0;
  virtual void forward(std::span<const jagged_view> bags, std::span<const tensor_view> outputs) = 0;
  virtual void backward(std::span<const jagged_view> bags,
                        std::span<const const_tensor_view> output_gradients) = 0;
  /// Waits; throws if a batch since the last call was bad.
  virtual void check() = 0;
  virtual std::int64_t bad_ids() = 0;  ///< of this rank
  virtual void save(const std::filesystem::path& file, const safetensors_metadata& metadata) = 0;
  virtual void load(const std::filesystem::path& file) = 0;
};

/// What makes a collection, apart from where it is.
struct bags_config {
  std::vector<table_config> tables;
  std::vector<feature_config> features;
  collection_options options;
};

/// Throws as embedding_bag_collection.
std::unique_ptr<machine_bags> make_bags(bags_config config, const resources& resources);
/// Collective, as all calls of what it makes. Throws as sharded_embedding_bag_collection.
std::unique_ptr<machine_bags> make_sharded_bags(bags_config config, const resources& resources,
                                                const sharding_plan& plan,
                                                std::shared_ptr<transport> ranks);

}  // namespace warpbag::model
