// SPDX-License-Identifier: Apache-2.0
#pragma once
// Ids of a bounded power law, by inversion of its summed probabilities: slow to make, plain to
// read.

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/random_source.hpp"

namespace warpbag::support {

class zipf_ids {
 public:
  /// Id k of num_rows with a probability in proportion to (k + 1)^-alpha.
  zipf_ids(std::int64_t num_rows, double alpha) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < num_rows; ++k) {
      sum += std::pow(static_cast<double>(k + 1), -alpha);
      sums_.push_back(sum);
    }
  }

  std::int64_t draw(random_source& random) const {
    const double at = random.unit() * sums_.back();
    return std::min(static_cast<std::int64_t>(sums_.size()) - 1,
                    std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

}  // namespace warpbag::support
