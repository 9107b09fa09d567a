// SPDX-License-Identifier: Apache-2.0
#include "sharding/shard_checks.hpp"

#include "collection/refuse.hpp"

namespace warpbag::sharding {

shard_checks::shard_checks(const shard_memory& shards,
                           const collection::configured_tables& configured)
    : shards_(&shards), num_tables_(configured.tables().size()), names_(configured.names()) {
  for (std::size_t s = 0; s < shards.shards().size(); ++s) {
    const std::string& table = configured.tables()[shards.shards()[s].table].name;
    names_.tables.push_back(table + ", shard " + std::to_string(s));
  }
}

void shard_checks::check_count(std::size_t gradients) const {
  const std::size_t shards = shards_->shards().size();
  if (gradients != shards) {
    collection::refuse(gradients, " gradients for ", shards, " shards of this rank");
  }
}

void shard_checks::check_overlaps(std::span<const operations::gradient_record> gradients,
                                  const collection::call_records& batch,
                                  collection::call_phase phase) const {
  collection::call_records call = batch;
  call.tables.resize(num_tables_);  // a batch's own; records without memory where there is none
  for (std::size_t s = 0; s < gradients.size(); ++s) {
    operations::table_record& shard = call.tables.emplace_back(shards_->shards()[s].record);
    shard.num_rows = shards_->shards()[s].num_rows;
    shard.gradient = gradients[s];
    shard.step = nullptr;  // shards of one table share it
  }
  collection::check_overlaps(call, phase, names_);
}

}  // namespace warpbag::sharding
