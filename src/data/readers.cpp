// SPDX-License-Identifier: Apache-2.0
#include "data/readers.hpp"

#include <array>
#include <cmath>
#include <string>

#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

std::string known_formats() {
  std::string out;
  for (const dataset_reader* reader : dataset_readers()) {
    if (!out.empty()) out += ", ";
    out += reader->format();
  }
  return out;
}

}  // namespace

dataset dataset_reader::read(const std::filesystem::path& file, const read_options& options) const {
  if (options.history_length < 0) {
    throw invalid_argument("a history of " + std::to_string(options.history_length) + " items");
  }
  if (!std::isfinite(options.label_threshold)) {
    throw invalid_argument("the label threshold is not a finite number");
  }
  dataset samples = do_read(file, options);
  if (samples.num_samples() == 0) {
    throw parse_error("'" + file.string() + "' has no samples (" +
                          std::to_string(samples.num_skipped_rows()) + " malformed lines left out)",
                      file.string(), 0);
  }
  return samples;
}

std::span<const dataset_reader* const> dataset_readers() {
  static const std::array<const dataset_reader*, 7> readers = {
      &data::u_data_reader(), &data::ratings_csv_reader(), &data::ratings_dat_reader(),
      &data::inter_reader(),  &data::criteo_reader(),      &data::libsvm_reader(),
      &data::libffm_reader()};
  return readers;
}

const dataset_reader& reader_of_format(std::string_view format) {
  for (const dataset_reader* reader : dataset_readers()) {
    if (reader->format() == format) return *reader;
  }
  throw invalid_argument("there is no data format " + data::in_quotes(format) + "; there are " +
                         known_formats());
}

const dataset_reader& detect_reader(const std::filesystem::path& file) {
  data::line_reader lines(file);
  std::string_view line;
  if (!lines.next(line)) throw parse_error("'" + file.string() + "' is empty", file.string(), 0);
  for (const dataset_reader* reader : dataset_readers()) {
    if (reader->knows_name(file.filename().string())) return *reader;
  }
  for (const dataset_reader* reader : dataset_readers()) {
    if (reader->knows_first_line(line)) return *reader;
  }
  throw invalid_argument("the format of '" + file.string() +
                         "' is not clear from its name or first line; name one of " +
                         known_formats());
}

}  // namespace warpbag
