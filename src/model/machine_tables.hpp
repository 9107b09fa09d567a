// SPDX-License-Identifier: Apache-2.0
#pragma once
// A machine as an embedding-bag collection. Tables: for each id space <t> its vectors `<t>.vector`
// [rows, dim] and first-order weights `<t>.linear` [rows, 1]; `bias` [1, 1]. Features: those of the
// data on the vectors, the same again on the first-order weights, and the bias, which every sample
// looks up.

#include <vector>

#include "model/machine_config.hpp"
#include "warpbag/collection.hpp"

namespace warpbag::model {

std::vector<table_config> machine_tables(const machine_config& config);
std::vector<feature_config> machine_features(const machine_config& config);

}  // namespace warpbag::model
