// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace warpbag::model {

/// Area under the ROC curve: the share of pairs (positive, negative) whose positive has the higher
/// score, equal scores counting half (the Mann-Whitney statistic). Counted in integers, so it is
/// exact up to the final division. Labels above 0.5 are positive. NaN where it is not defined: only
/// one class, or a score that is NaN. Throws invalid_argument for sizes that differ.
double area_under_curve(std::span<const float> scores, std::span<const float> labels);

}  // namespace warpbag::model
