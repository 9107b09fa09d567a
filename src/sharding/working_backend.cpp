// SPDX-License-Identifier: Apache-2.0
#include "sharding/working_backend.hpp"

namespace warpbag::sharding {

working_backend::working_backend(const resources& resources)
    : backend_(operations::make_backend(resources)) {}

operations::backend& working_backend::prepared(const collection::call_records& call, bool routed) {
  operations::problem_limits needed = call.limits();
  needed.routed = routed;
  if (!within(needed, limits_)) {
    // Batches differ a little from each other: with a quarter to spare few of them allocate.
    needed.positions += needed.positions / 4;
    needed.bags += needed.bags / 4;
    needed.rows += needed.rows / 4;
    const operations::problem_limits wider = united(needed, limits_);
    backend_->reserve(wider);
    limits_ = wider;
  }
  return *backend_;
}

void lay_out(collection::call_records& call) {
  call.total_rows = 0;
  call.total_positions = 0;
  call.total_bags = 0;
  for (operations::table_record& table : call.tables) {
    table.first_row = call.total_rows;
    call.total_rows += table.num_rows;
  }
  for (operations::feature_record& feature : call.features) {
    feature.first_position = call.total_positions;
    feature.first_bag = call.total_bags;
    call.total_positions += feature.num_ids;
    call.total_bags += feature.num_bags;
  }
}

operations::feature_record row_list(std::size_t table, const std::int64_t* rows,
                                    std::int64_t count) {
  operations::feature_record feature;
  feature.table = static_cast<std::int32_t>(table);
  feature.mode = pooling_mode::none;
  feature.ids = rows;
  feature.num_ids = count;
  feature.num_bags = count;
  feature.hotness = 1;
  feature.batch = count;
  return feature;
}

operations::feature_record bag_list(std::size_t table, const std::int64_t* ids,
                                    std::int64_t num_ids, const std::int64_t* offsets,
                                    std::int64_t num_bags) {
  operations::feature_record feature;
  feature.table = static_cast<std::int32_t>(table);
  feature.ids = ids;
  feature.num_ids = num_ids;
  feature.offsets = offsets;
  feature.num_bags = num_bags;
  feature.has_last_offset = true;
  feature.batch = num_bags;
  return feature;
}

}  // namespace warpbag::sharding
