// SPDX-License-Identifier: Apache-2.0
#pragma once
// One function per format: the reader, which lives as long as the program.

#include "warpbag/dataset.hpp"

namespace warpbag::data {

const dataset_reader& u_data_reader();
const dataset_reader& ratings_csv_reader();
const dataset_reader& ratings_dat_reader();
const dataset_reader& inter_reader();
const dataset_reader& criteo_reader();
const dataset_reader& libsvm_reader();
const dataset_reader& libffm_reader();

}  // namespace warpbag::data
