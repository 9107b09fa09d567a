// SPDX-License-Identifier: Apache-2.0
#include "bench/id_law.hpp"

#include <algorithm>
#include <string>

#include "numerics/elementary.hpp"
#include "warpbag/error.hpp"

namespace warpbag::bench {

namespace {

// So many draws in a row that were in the bag already: the law has hardly any other row left.
constexpr int most_redraws = 1000;
// Beyond 2^53 not every double is an integer, and a row (x - 1) mod num_rows means nothing.
constexpr double largest_zipf = 0x1p53;

}  // namespace

std::string_view to_string(id_law law) {
  switch (law) {
    case id_law::uniform: return "uniform";
    case id_law::power_law: return "power_law";
    case id_law::zipf: return "zipf";
    case id_law::all_equal: return "all_equal";
  }
  return "unknown";
}

id_source::id_source(std::int64_t num_rows, id_law law, double alpha, std::uint64_t seed,
                     std::uint32_t stream)
    : num_rows_(num_rows),
      law_(law),
      alpha_(alpha),
      seed_(seed),
      stream_(stream),
      row_of_rank_(num_rows, seed, stream) {
  const bool fits = law == id_law::zipf ? alpha > 1.0 : alpha >= 0.0;
  if (!fits || !(alpha <= 10.0)) {
    throw invalid_argument("alpha = " + std::to_string(alpha) + " for " +
                           std::string(to_string(law)) + ": not in " +
                           (law == id_law::zipf ? "(1, 10]" : "[0, 10]"));
  }
}

double id_source::uniform() {
  const std::uint64_t draw = num_drawn_++;
  if (draw % 4 == 0) {
    words_ = numerics::random_words(seed_, numerics::random_use::data, stream_, draw / 4, 0, 0);
  }
  return numerics::unit_interval(words_.word[draw % 4]);
}

/// By inversion of the integral of x^-alpha.
std::int64_t id_source::draw_power_law() {
  const double end = static_cast<double>(num_rows_) + 1.0;
  const double place = uniform();
  double x = 0.0;
  if (alpha_ == 1.0) {
    x = numerics::power(end, place);
  } else {
    const double gamma = 1.0 - alpha_;
    x = numerics::power(place * (numerics::power(end, gamma) - 1.0) + 1.0, 1.0 / gamma);
  }
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(x) - 1, 0, num_rows_ - 1);
}

/// By rejection: Devroye, Non-Uniform Random Variate Generation (1986), chapter X.6.1.
std::int64_t id_source::draw_zipf() {
  const double rise = numerics::power(2.0, alpha_ - 1.0);
  while (true) {
    const double x = numerics::power(uniform(), -1.0 / (alpha_ - 1.0));
    const double accept = uniform();
    if (!(x < largest_zipf)) continue;
    const auto whole = static_cast<std::int64_t>(x);
    const double k = static_cast<double>(whole);
    const double t = numerics::power(1.0 + 1.0 / k, alpha_ - 1.0);
    if (accept * k * (t - 1.0) / (rise - 1.0) <= t / rise) return (whole - 1) % num_rows_;
  }
}

std::int64_t id_source::draw_rank() {
  return law_ == id_law::zipf ? draw_zipf() : draw_power_law();
}

std::int64_t id_source::draw_distinct(std::span<const std::int64_t> taken) {
  std::int64_t rank = draw_rank();
  std::int64_t row = row_of_rank_(rank);
  for (int redraws = 0; std::find(taken.begin(), taken.end(), row) != taken.end(); ++redraws) {
    rank = redraws < most_redraws ? draw_rank() : (rank + 1) % num_rows_;
    row = row_of_rank_(rank);
  }
  return row;
}

void id_source::draw(std::span<std::int64_t> bag) {
  if (law_ == id_law::all_equal) {
    std::fill(bag.begin(), bag.end(), num_rows_ / 2);
    return;
  }
  if (law_ == id_law::uniform) {
    for (std::int64_t& id : bag) {
      id = static_cast<std::int64_t>(uniform() * static_cast<double>(num_rows_));
    }
    return;
  }
  const auto size = static_cast<std::int64_t>(bag.size());
  if (size > num_rows_) {
    throw invalid_argument("a bag of " + std::to_string(size) + " distinct ids from " +
                           std::to_string(num_rows_) + " rows");
  }
  for (std::size_t i = 0; i < bag.size(); ++i) bag[i] = draw_distinct(bag.first(i));
}

}  // namespace warpbag::bench
