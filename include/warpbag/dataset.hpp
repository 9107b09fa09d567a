// SPDX-License-Identifier: Apache-2.0
#pragma once
// Labelled samples of ids, in memory, and the readers that make them from files.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "warpbag/export.hpp"
#include "warpbag/token_vocabulary.hpp"

namespace warpbag {

/// A space of ids 0 .. num_ids - 1: what one embedding table has rows for.
struct dataset_table {
  std::string name;
  std::int64_t num_ids = 0;
  token_vocabulary vocabulary;  ///< empty where ids are computed (buckets, the generator)
};

/// One input of the model. Features may share a table: `history` holds item ids, as `item` does.
struct dataset_feature {
  std::string name;
  std::size_t table = 0;   ///< index into dataset::tables()
  bool multi_hot = false;  ///< false: every bag has exactly one id
  bool weighted = false;   ///< true: every id comes with a weight
};

/// The bags of one feature. The bag of sample i is
///   single-hot: the one id ids[i] (begins and sizes are empty);
///   multi-hot:  the sizes[i] ids from ids[begins[i]] on.
/// Bags may overlap in `ids`. So a user's ratings are stored once and every history is a window on
/// them, and the genres of a film are stored once: memory grows with the samples, not with the sum
/// of the bag sizes.
struct dataset_column {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint64_t> begins;  ///< [num_samples] or empty
  std::vector<std::uint32_t> sizes;   ///< [num_samples] or empty
  std::vector<float> weights;         ///< [ids.size()] or empty
};

/// The bags of one feature for the samples of a batch, ready for jagged_view::csr with the last
/// offset included.
struct feature_batch {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets;  ///< [num_samples + 1]
  std::vector<float> weights;         ///< [ids.size()], or empty for a feature without weights
};

/// Some samples, in the order they were asked for. Reuse one object: its vectors keep their memory.
struct batch {
  std::vector<feature_batch> features;  ///< in the order of dataset::features()
  std::vector<float> labels;            ///< [num_samples], each 0 or 1
  std::int64_t num_samples() const noexcept { return static_cast<std::int64_t>(labels.size()); }
};

/// What a reader or the generator hands over to make a dataset of.
struct dataset_parts {
  std::vector<dataset_table> tables;
  std::vector<dataset_feature> features;
  std::vector<dataset_column> columns;  ///< one per feature
  std::vector<float> labels;            ///< [num_samples], each 0 or 1
  std::vector<double> timestamps;       ///< [num_samples] in seconds, or empty
  std::int64_t num_skipped_rows = 0;
};

/// Samples in file order. Immutable: reading from several threads is safe.
class WARPBAG_EXPORT dataset {
 public:
  /// Throws invalid_argument, naming the feature, when sizes, tables, ids or labels do not fit.
  explicit dataset(dataset_parts parts);

  std::int64_t num_samples() const noexcept {
    return static_cast<std::int64_t>(parts_.labels.size());
  }
  std::span<const dataset_table> tables() const noexcept { return parts_.tables; }
  std::span<const dataset_feature> features() const noexcept { return parts_.features; }
  std::span<const float> labels() const noexcept { return parts_.labels; }

  /// [num_samples], or empty when the file has no times.
  std::span<const double> timestamps() const noexcept { return parts_.timestamps; }

  /// Lines left out under bad_row_policy::skip.
  std::int64_t num_skipped_rows() const noexcept { return parts_.num_skipped_rows; }

  /// Index of the feature of that name; throws invalid_argument when there is none.
  std::size_t feature_index(std::string_view name) const;

  /// The ids of one bag. Unchecked: feature < features().size(), 0 <= sample < num_samples().
  std::span<const std::uint32_t> bag(std::size_t feature, std::int64_t sample) const noexcept;

  /// The weights of one bag; empty for a feature without weights.
  std::span<const float> bag_weights(std::size_t feature, std::int64_t sample) const noexcept;

  /// Fills `out` with `samples`, in their order.
  /// Throws invalid_argument for a sample outside [0, num_samples()).
  void gather(std::span<const std::int64_t> samples, batch& out) const;

  /// A 64-bit hash of all that training reads: names, table sizes, tokens, ids, weights, labels,
  /// times. By it a resumed run notices that its data changed.
  std::uint64_t fingerprint() const noexcept;

  /// Hands the parts back, to make another dataset of.
  dataset_parts release() && noexcept { return std::move(parts_); }

 private:
  dataset_parts parts_;
};

/// What to do with a line that cannot be understood.
/// error: throw parse_error with file, line and the text at fault. skip: leave it out and count it.
enum class bad_row_policy : std::uint8_t { error, skip };

struct read_options {
  bad_row_policy on_bad_row = bad_row_policy::error;

  /// Ratings of at least this much have label 1, the others 0.
  double label_threshold = 4.0;

  /// Rating formats: feature `history` holds the last so many items that the user rated before this
  /// rating, oldest first, by time and among equal times by file order (file order alone when there
  /// are no times). 0: no such feature.
  std::int32_t history_length = 20;

  /// RecBole: the columns of the .item and .user files that become bags (absent ones are no error).
  std::vector<std::string> side_columns = {"class", "genre",  "genres",
                                           "age",   "gender", "occupation"};
};

/// One file format. Readers have no state.
class WARPBAG_EXPORT dataset_reader {
 public:
  virtual ~dataset_reader() = default;

  /// The name to ask for it by: u.data, ratings.csv, ratings.dat, inter, criteo, libsvm, libffm.
  virtual std::string_view format() const noexcept = 0;

  /// Whether a file of this name (no folder) is in this format by custom.
  virtual bool knows_name(std::string_view file_name) const = 0;

  /// Whether a file that begins with this line (no line end) looks like this format.
  virtual bool knows_first_line(std::string_view line) const = 0;

  /// Reads the whole file. Lines end with LF or CRLF, the last one may lack it; blank lines are
  /// passed over. Throws invalid_argument for options outside their domain, io_error when the file
  /// cannot be read, parse_error for a malformed line (see bad_row_policy; a malformed header is
  /// always an error) and for a file without a single sample.
  dataset read(const std::filesystem::path& file, const read_options& options) const;

 protected:
  dataset_reader() = default;
  dataset_reader(const dataset_reader&) = default;
  dataset_reader& operator=(const dataset_reader&) = default;

 private:
  virtual dataset do_read(const std::filesystem::path& file, const read_options& options) const = 0;
};

/// All readers. They live as long as the program.
WARPBAG_EXPORT std::span<const dataset_reader* const> dataset_readers();

/// The reader of a format; throws invalid_argument that lists the formats when there is none of
/// that name.
WARPBAG_EXPORT const dataset_reader& reader_of_format(std::string_view format);

/// The reader that knows the file's name, else the one that knows its first line. Throws
/// invalid_argument when none does, parse_error when the file is empty, io_error when it cannot be
/// read.
WARPBAG_EXPORT const dataset_reader& detect_reader(const std::filesystem::path& file);

}  // namespace warpbag
