// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "collection/refuse.hpp"
#include "warpbag/id_sketch.hpp"

namespace warpbag {

namespace {

constexpr std::int64_t most_heavy_hitters = 4096;
// The first rows of a power law have classes of their own; then each class has a tenth more rows
// than the one before: within a class rates differ by less than alpha * 10 %, and taking them for
// equal changes an expected count by less than their variance over 2, well below 0.1 %.
constexpr std::int64_t rows_alone = 256;
constexpr double class_growth = 1.1;

/// Integral of x^-alpha.
double power_integral(double from, double to, double alpha) {
  if (alpha == 1.0) return std::log(to / from);
  return (std::pow(to, 1.0 - alpha) - std::pow(from, 1.0 - alpha)) / (1.0 - alpha);
}

/// Rate of a row that a lookup reads with probability `share`, exposure counted in lookups:
/// (1 - share)^lookups == e^(-rate * lookups).
double rate_of(double share) { return -std::log1p(-std::min(share, 1.0)); }

}  // namespace

std::vector<id_distribution::row_class> id_distribution::power_law_classes(std::int64_t num_rows,
                                                                           double alpha) {
  std::vector<row_class> classes;  // with masses for rates, at first
  double total = 0.0;
  for (std::int64_t first = 0; first < num_rows;) {
    std::int64_t last = first + 1;
    double mass = std::pow(static_cast<double>(last), -alpha);
    if (first >= rows_alone) {
      last =
          std::min(num_rows, static_cast<std::int64_t>(static_cast<double>(first) * class_growth));
      // Row k has the mass at x = k + 1, about the integral over [k + 0.5, k + 1.5].
      mass =
          power_integral(static_cast<double>(first) + 0.5, static_cast<double>(last) + 0.5, alpha);
    }
    classes.push_back({static_cast<double>(last - first), mass});
    total += mass;
    first = last;
  }
  for (row_class& group : classes) group.rate = rate_of(group.rate / group.rows / total);
  return classes;
}

id_distribution id_distribution::power_law(std::int64_t num_rows, double alpha) {
  if (num_rows <= 0) collection::refuse("power_law: num_rows is ", num_rows, ", not positive");
  if (!(alpha >= 0.0 && alpha <= 10.0)) {
    collection::refuse("power_law: alpha is ", alpha, ", not in 0..10");
  }
  id_distribution law;
  law.num_rows_ = num_rows;
  law.classes_ = power_law_classes(num_rows, alpha);
  const double first_share = -std::expm1(-law.classes_.front().rate);
  for (std::int64_t id = 0; id < std::min(num_rows, most_heavy_hitters); ++id) {
    law.heavy_.push_back({id, first_share * std::pow(static_cast<double>(id + 1), -alpha)});
  }
  return law;
}

double id_distribution::expected(const std::vector<row_class>& classes, double exposure) {
  double rows = 0.0;
  for (const row_class& group : classes) rows -= group.rows * std::expm1(-group.rate * exposure);
  return rows;
}

// Of a law: the lookups. Of counts: a batch of n of the N observed lookups misses a row with c of
// them with the chance (1 - n/N)^c: the rate is c, the exposure -log(1 - n/N); for all of them
// infinite, and every row that was seen is read.
double id_distribution::exposure_of(double lookups) const {
  return observed_ == 0.0 ? lookups : -std::log1p(-std::min(lookups / observed_, 1.0));
}

double id_distribution::distinct(double lookups) const {
  if (!(lookups > 0.0)) return 0.0;
  const double most = std::min(static_cast<double>(num_rows_), lookups);
  if (observed_ > 0.0 && lookups > observed_) {
    return std::min(most, tail_scale_ * expected(tail_, lookups));
  }
  return std::min(most, expected(classes_, exposure_of(lookups)));
}

double id_distribution::distinct_of(double lookups, std::span<const heavy_hitter> rows) const {
  if (!(lookups > 0.0)) return 0.0;
  const double exposure = exposure_of(lookups);
  double count = 0.0;
  for (const heavy_hitter& row : rows) {
    const double rate = observed_ == 0.0 ? rate_of(row.share) : row.share * observed_;
    count -= std::expm1(-rate * exposure);
  }
  return count;
}

/// Fits the power law whose curve, from half of the observed lookups to all of them, rises by the
/// same factor as the counted one. The steeper the law, the less its curve rises.
void id_distribution::continue_curve() {
  const double rise = distinct(observed_) / distinct(observed_ / 2);
  double least = 0.0;
  double most = 4.0;
  for (int step = 0; step < 30; ++step) {
    const double alpha = (least + most) / 2;
    tail_ = power_law_classes(num_rows_, alpha);
    const bool rises_more = expected(tail_, observed_) > rise * expected(tail_, observed_ / 2);
    (rises_more ? least : most) = alpha;
  }
  tail_scale_ = distinct(observed_) / expected(tail_, observed_);
}

}  // namespace warpbag
