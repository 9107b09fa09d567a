// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a planner must know of a table's ids: how many distinct rows a batch reads, and which rows
// are hot. Either a law (power_law) or measured from batches in bounded memory (id_sketch).

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "warpbag/export.hpp"

namespace warpbag {

/// A row and its share of all lookups.
struct heavy_hitter {
  std::int64_t id = 0;
  double share = 0.0;
  friend bool operator==(const heavy_hitter&, const heavy_hitter&) = default;
};

/// How lookups spread over the rows of a table, each lookup drawn on its own. Immutable;
/// thread-safe.
class WARPBAG_EXPORT id_distribution {
 public:
  /// Row k of `num_rows` is read with a probability in proportion to (k + 1)^-alpha. alpha 0: all
  /// rows alike, which is the most rows that a batch can read. Throws invalid_argument unless
  /// num_rows > 0 and 0 <= alpha <= 10.
  static id_distribution power_law(std::int64_t num_rows, double alpha);

  std::int64_t num_rows() const { return num_rows_; }

  /// Expected number of distinct rows that `lookups` lookups read.
  double distinct(double lookups) const;
  /// As distinct(), of these rows alone.
  double distinct_of(double lookups, std::span<const heavy_hitter> rows) const;

  /// By share, descending; equal shares by id. At most 4096.
  const std::vector<heavy_hitter>& heavy_hitters() const { return heavy_; }

 private:
  friend class id_sketch;

  /// `rows` rows that are read equally often: the chance that a batch reads none of one of them is
  /// e^(-rate * exposure of the batch).
  struct row_class {
    double rows = 0.0;
    double rate = 0.0;
  };

  static std::vector<row_class> power_law_classes(std::int64_t num_rows, double alpha);
  static double expected(const std::vector<row_class>& classes, double exposure);
  double exposure_of(double lookups) const;
  void continue_curve();

  std::int64_t num_rows_ = 1;
  std::vector<row_class> classes_ = {};
  std::vector<heavy_hitter> heavy_ = {};
  double observed_ = 0.0;             // lookups that the classes were counted in; 0: a law
  std::vector<row_class> tail_ = {};  // the law that goes on beyond them,
  double tail_scale_ = 1.0;           // times this
};

/// Takes in the ids of sample batches, in any order, one after the other. About 2 MiB whatever
/// it is fed: the exact counts of a uniform sample of at most 32768 distinct ids (all ids whose
/// hash is below a falling limit: Gibbons, Distinct Sampling, VLDB 2001), which gives the curve of
/// distinct rows to about 1 %, and the ids that are more than about 1 in 4096 of the lookups
/// (counters that lose their median when there are too many: Anderson et al., A High-Performance
/// Algorithm for Identifying Frequent Items in Data Streams, IMC 2017). Deterministic.
class WARPBAG_EXPORT id_sketch {
 public:
  /// Throws invalid_argument unless num_rows > 0.
  explicit id_sketch(std::int64_t num_rows);

  /// Ids outside [0, num_rows) are not rows and are left out.
  void add(std::span<const std::int64_t> ids);
  void add(std::span<const std::int32_t> ids);

  std::int64_t num_lookups() const { return num_lookups_; }

  /// What was seen. Batches of up to num_lookups() lookups are interpolated from the counts; larger
  /// ones follow the power law that goes on where the counts end: feed at least as many lookups as
  /// a rank has in a batch. Throws invalid_argument when nothing was fed.
  id_distribution distribution() const;

 private:
  void add(std::int64_t id);
  void raise_sampling();
  void drop_light();
  bool is_heavy(std::int64_t id) const;

  std::int64_t num_rows_;
  std::int64_t num_lookups_ = 0;
  int sampling_ = 0;                                             // an id in 2^sampling_ is sampled
  std::unordered_map<std::int64_t, std::int64_t> sampled_ = {};  // id -> lookups
  std::unordered_map<std::int64_t, std::int64_t> heavy_ = {};    // id -> lookups - dropped_
  std::int64_t dropped_ = 0;
};

}  // namespace warpbag
