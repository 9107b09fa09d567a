// SPDX-License-Identifier: Apache-2.0
#pragma once
// From an occurrence to the row of the output gradient that it adds, and its scale.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/workspace.hpp"
#include "numerics/gradient_tree.hpp"
#include "operations/problem.hpp"

namespace warpbag::cpu {

using operations::feature_record;
using operations::problem;

struct occurrence {
  const feature_record* feature;
  std::int64_t position;  // within the feature
  std::int64_t bag;       // within the feature

  std::int32_t slice() const {
    if (feature->partials != nullptr) return feature->partials[position].slice;
    return numerics::slice_of(feature->first_sample + bag, feature->batch);
  }
  /// Of the one-device batch that it stands for.
  std::int64_t frequency() const {
    return feature->partials == nullptr ? 1 : std::int64_t{feature->partials[position].occurrences};
  }
  std::int64_t gradient_row() const { return feature->mode == pooling_mode::none ? position : bag; }
};

class gradient_rows {
 public:
  gradient_rows(const problem& problem, const workspace_arrays& arrays)
      : features_(problem.features.data()),
        num_features_(problem.features.size()),
        arrays_(arrays),
        offsets_type_(problem.ids_type),
        element_bytes_(static_cast<std::int64_t>(size_of(problem.gradient_type))) {}

  occurrence find(std::uint32_t position) const {
    // The last feature that begins at the position or before: features without ids begin where the
    // next one does.
    const feature_record* const after = std::upper_bound(
        features_, features_ + num_features_, std::int64_t{position},
        [](std::int64_t p, const feature_record& f) { return p < f.first_position; });
    return find_in(after - 1, position);
  }

  /// `position` comes after that of `before`.
  occurrence find_after(const occurrence& before, std::uint32_t position) const {
    const bool same = position < before.feature->first_position + before.feature->num_ids;
    return same ? find_in(before.feature, position) : find(position);
  }

  /// `position` is one of the feature's.
  occurrence find_in(const feature_record* feature, std::uint32_t position) const {
    return {feature, std::int64_t{position} - feature->first_position,
            std::int64_t{arrays_.bag_of_position[position]} - feature->first_bag};
  }

  const void* gradient(const occurrence& o) const {
    return static_cast<const std::byte*>(o.feature->gradient) +
           o.gradient_row() * o.feature->gradient_stride * element_bytes_;
  }

  float scale(const occurrence& o) const {
    const bool pooled =
        o.feature->mode == pooling_mode::sum || o.feature->mode == pooling_mode::mean;
    const float weight =
        pooled && o.feature->weights != nullptr ? o.feature->weights[o.position] : 1.0F;
    return o.feature->mode == pooling_mode::mean
               ? weight * arrays_.scale_of_bag[o.feature->first_bag + o.bag]
               : weight;
  }

  std::uint32_t number_of(const feature_record* feature) const {
    return static_cast<std::uint32_t>(feature - features_);
  }

  /// Makes the occurrence number `i` of a segment of rows of width `dim`.
  template <typename Segment>
  void put(const occurrence& o, Segment& segment, int i, std::int64_t dim) const {
    segment.gradients[i] = gradient(o);
    segment.scales[i] = scale(o);
    if (segment.has_winners) {
      segment.winners[i] = o.feature->max_positions + o.bag * dim;
      segment.positions[i] = static_cast<std::int32_t>(o.position - bag_begin(o));
    }
  }

 private:
  std::int64_t bag_begin(const occurrence& o) const {
    if (o.feature->offsets == nullptr) return o.bag * o.feature->hotness;
    return offsets_type_ == index_type::i32
               ? std::int64_t{static_cast<const std::int32_t*>(o.feature->offsets)[o.bag]}
               : static_cast<const std::int64_t*>(o.feature->offsets)[o.bag];
  }

  const feature_record* features_;
  std::size_t num_features_;
  const workspace_arrays& arrays_;
  index_type offsets_type_;
  std::int64_t element_bytes_;
};

}  // namespace warpbag::cpu
