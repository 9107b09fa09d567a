// SPDX-License-Identifier: Apache-2.0
#include "cli/data_options.hpp"

#include <algorithm>
#include <utility>

#include "cli/choice.hpp"
#include "cli/choice_option.hpp"
#include "warpbag/error.hpp"
#include "warpbag/generator.hpp"

namespace warpbag::cli {

namespace {

std::string format_names() {
  std::string names;
  for (const dataset_reader* reader : dataset_readers()) {
    if (!names.empty()) names += ", ";
    names += reader->format();
  }
  return names;
}

generator_options generator_of(const data_options& options) {
  generator_options generator;
  generator.num_samples = options.rows;
  generator.num_users =
      options.users != 0 ? options.users : std::max(options.rows / 100, INT64_C(10));
  generator.num_items =
      options.items != 0 ? options.items : std::max(options.rows / 400, INT64_C(10));
  generator.history_length = options.history;
  generator.seed = options.generator_seed;
  return generator;
}

}  // namespace

void add_file_options(CLI::App& command, data_options& options) {
  command.add_option("--data", options.path, "File of interactions")->group("Data");
  command
      .add_option("--format", options.format,
                  "One of " + format_names() + "; default: by the file's name or first line")
      ->group("Data");
  add_choice(command, "--on-bad-row", options.on_bad_row,
             {{"error", bad_row_policy::error}, {"skip", bad_row_policy::skip}},
             "A malformed line: stop, or leave it out and count it")
      ->group("Data");
}

void add_data_options(CLI::App& command, data_options& options) {
  add_file_options(command, options);
  command
      .add_option("--generate", options.rows, "Make up so many interactions with a planted model")
      ->excludes("--data")
      ->check(CLI::PositiveNumber)
      ->group("Data");
  command.add_option("--users", options.users, "Of --generate; default: one for each 100 rows")
      ->needs("--generate")
      ->check(CLI::PositiveNumber)
      ->group("Data");
  command.add_option("--items", options.items, "Of --generate; default: one for each 400 rows")
      ->needs("--generate")
      ->check(CLI::PositiveNumber)
      ->group("Data");
  command
      .add_option("--history", options.history,
                  "Items rated before the sample that are its history; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Data");
  command
      .add_option("--label-threshold", options.label_threshold,
                  "Ratings of at least this are positive")
      ->capture_default_str()
      ->group("Data");
}

loaded_data load_data(const data_options& options) {
  if (options.path.empty() && options.rows == 0) {
    throw invalid_argument("no data: give --data FILE or --generate ROWS");
  }
  if (options.path.empty()) {
    planted_dataset planted = generate_dataset(generator_of(options));
    return {std::move(planted.samples), std::move(planted.logits)};
  }
  read_options reading;
  reading.on_bad_row = options.on_bad_row;
  reading.label_threshold = options.label_threshold;
  reading.history_length = options.history;
  const dataset_reader& reader =
      options.format.empty() ? detect_reader(options.path) : reader_of_format(options.format);
  return {reader.read(options.path, reading), {}};
}

}  // namespace warpbag::cli
