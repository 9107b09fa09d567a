// SPDX-License-Identifier: Apache-2.0
#include "model/machine_bags.hpp"

#include <utility>

#include "warpbag/checkpoint.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag::model {

namespace {

/// What both collections do by the same names.
template <typename Collection>
class bags_of : public machine_bags {
 public:
  explicit bags_of(Collection collection) : collection_(std::move(collection)) {}

  void forward(std::span<const jagged_view> bags, std::span<const tensor_view> outputs) override {
    collection_.forward(bags, outputs);
  }
  void backward(std::span<const jagged_view> bags,
                std::span<const const_tensor_view> output_gradients) override {
    collection_.backward(bags, output_gradients);
  }
  std::int64_t bad_ids() override { return collection_.bad_ids(); }
  void save(const std::filesystem::path& file, const safetensors_metadata& metadata) override {
    save_checkpoint(collection_, file, metadata);
  }
  void load(const std::filesystem::path& file) override {
    static_cast<void>(load_checkpoint(collection_, file));
  }

 protected:
  Collection collection_;
};

class device_bags final : public bags_of<embedding_bag_collection> {
 public:
  using bags_of::bags_of;
  void prefetch(std::span<const jagged_view>) override {}
  void check() override { collection_.check(); }
};

class sharded_bags final : public bags_of<sharded_embedding_bag_collection> {
 public:
  using bags_of::bags_of;
  void prefetch(std::span<const jagged_view> bags) override { collection_.prefetch(bags); }
  void check() override { collection_.ranks().wait(); }  // forward has thrown what was bad
};

}  // namespace

std::unique_ptr<machine_bags> make_bags(bags_config config, const resources& resources) {
  return std::make_unique<device_bags>(embedding_bag_collection(
      std::move(config.tables), std::move(config.features), resources, config.options));
}

std::unique_ptr<machine_bags> make_sharded_bags(bags_config config, const resources& resources,
                                                const sharding_plan& plan,
                                                std::shared_ptr<transport> ranks) {
  return std::make_unique<sharded_bags>(
      sharded_embedding_bag_collection(std::move(config.tables), std::move(config.features), plan,
                                       std::move(ranks), resources, config.options));
}

}  // namespace warpbag::model
