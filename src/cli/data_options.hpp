// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where samples come from: a file or the generator.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/app.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::cli {

struct data_options {
  std::string path;        ///< a file; empty: the generator
  std::string format;      ///< empty: by the file's name or first line
  std::int64_t rows = 0;   ///< of the generator
  std::int64_t users = 0;  ///< 0: one for each 100 rows
  std::int64_t items = 0;  ///< 0: one for each 400 rows
  std::uint64_t generator_seed = 1;
  std::int32_t history = 20;
  double label_threshold = 4.0;
  bad_row_policy on_bad_row = bad_row_policy::error;
};

/// --data, --format and --on-bad-row.
void add_file_options(CLI::App& command, data_options& options);
/// All of them; the generator's seed is the caller's to set.
void add_data_options(CLI::App& command, data_options& options);

struct loaded_data {
  dataset samples;
  std::vector<float> planted_logits;  ///< of the generator; empty for a file
};

/// Throws as dataset_reader::read, detect_reader and generate_dataset do.
loaded_data load_data(const data_options& options);

}  // namespace warpbag::cli
