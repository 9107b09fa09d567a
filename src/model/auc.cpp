// SPDX-License-Identifier: Apache-2.0
#include "model/auc.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "warpbag/error.hpp"

namespace warpbag::model {

double area_under_curve(std::span<const float> scores, std::span<const float> labels) {
  if (scores.size() != labels.size()) {
    throw invalid_argument("area_under_curve: " + std::to_string(scores.size()) + " scores, " +
                           std::to_string(labels.size()) + " labels");
  }
  struct scored {
    float score;
    bool positive;
  };
  std::vector<scored> samples;
  samples.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return std::numeric_limits<double>::quiet_NaN();
    samples.push_back({scores[i], labels[i] > 0.5F});
  }
  std::sort(samples.begin(), samples.end(),
            [](const scored& a, const scored& b) { return a.score < b.score; });

  // Twice the pairs won, so that a tie is the integer 1. 2 P N < 2^63 up to 3e9 samples.
  std::uint64_t twice_won = 0;
  std::uint64_t positives = 0;
  std::uint64_t negatives = 0;
  for (std::size_t first = 0; first < samples.size();) {
    std::uint64_t tied[2] = {0, 0};  // negatives, positives of this score
    const float score = samples[first].score;
    for (; first < samples.size() && samples[first].score == score; ++first) {
      ++tied[samples[first].positive ? 1 : 0];
    }
    twice_won += tied[1] * (2 * negatives + tied[0]);
    negatives += tied[0];
    positives += tied[1];
  }
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(twice_won) / 2.0 / static_cast<double>(positives * negatives);
}

}  // namespace warpbag::model
