// SPDX-License-Identifier: Apache-2.0
#pragma once
// From a position to what its occurrence adds: which row of which feature's gradient, by which
// scale, and where in the gradient tree.

#include "kernels/common/records.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

/// First position of a bag within its feature.
__device__ __forceinline__ std::int64_t begin_of_bag(const feature_record& feature,
                                                     index_type offsets_type, std::uint32_t bag) {
  return offsets_type == index_type::i32 ? range_of_bag<std::int32_t>(feature, bag).begin
                                         : range_of_bag<std::int64_t>(feature, bag).begin;
}

/// numerics::slice_of; 64-bit division costs four times a 32-bit one and is rarely needed.
__device__ __forceinline__ std::int32_t slice_of_bag(const feature_record& feature,
                                                     std::uint32_t bag) {
  if (feature.batch <= (std::int64_t{1} << 26)) {
    return static_cast<std::int32_t>((static_cast<std::uint32_t>(feature.first_sample) + bag) *
                                     static_cast<std::uint32_t>(numerics::num_slices) /
                                     static_cast<std::uint32_t>(feature.batch));
  }
  return numerics::slice_of(feature.first_sample + bag, feature.batch);
}

/// Slice of lookup `position` of a feature, which is in bag `bag`.
__device__ __forceinline__ std::int32_t slice_of_lookup(const feature_record& feature,
                                                        std::uint32_t position, std::uint32_t bag) {
  return feature.partials != nullptr ? feature.partials[position].slice
                                     : slice_of_bag(feature, bag);
}

/// How many occurrences of the one-device batch the lookup at `position` (of all features) is.
__device__ __forceinline__ std::uint32_t frequency_of_lookup(const device_problem& problem,
                                                             std::uint32_t position) {
  const feature_record& feature = problem.features[feature_of_position(problem, position)];
  if (feature.partials == nullptr) return 1;
  return feature.partials[position - static_cast<std::uint32_t>(feature.first_position)]
      .occurrences;
}

struct occurrence {
  std::int32_t feature;
  std::int32_t slice;
  std::uint32_t bag;              // within the feature
  std::int32_t position_in_bag;   // mode max; else -1
  const void* gradient;           // of the feature
  std::int64_t gradient_element;  // first element of the row
  float scale;
};

/// `guess` is the feature of the occurrence before: one look at it mostly replaces the search.
__device__ __forceinline__ occurrence find_occurrence(const device_problem& problem,
                                                      index_type offsets_type,
                                                      std::uint32_t position, std::int32_t guess) {
  occurrence result;
  result.feature = guess;
  const feature_record* found = problem.features + guess;
  std::uint32_t local = position - static_cast<std::uint32_t>(found->first_position);
  // A position before the feature wraps to more than it has ids: all are below 2^32 - 1.
  if (local >= static_cast<std::uint32_t>(found->num_ids)) {
    result.feature = feature_of_position(problem, position);
    found = problem.features + result.feature;
    local = position - static_cast<std::uint32_t>(found->first_position);
  }
  const feature_record& feature = *found;
  result.bag = feature.offsets == nullptr ? local / static_cast<std::uint32_t>(feature.hotness)
                                          : problem.bag_of_position[position] -
                                                static_cast<std::uint32_t>(feature.first_bag);
  result.slice = slice_of_lookup(feature, local, result.bag);
  const std::uint32_t gradient_row = feature.mode == pooling_mode::none ? local : result.bag;
  result.gradient = feature.gradient;
  result.gradient_element = static_cast<std::int64_t>(gradient_row) * feature.gradient_stride;
  result.position_in_bag = -1;
  result.scale = 1.0F;
  if (feature.weights != nullptr) result.scale = feature.weights[local];
  if (feature.mode == pooling_mode::mean) {
    result.scale *= problem.scale_of_bag[feature.first_bag + result.bag];
  } else if (feature.mode == pooling_mode::max) {
    result.position_in_bag =
        static_cast<std::int32_t>(local - begin_of_bag(feature, offsets_type, result.bag));
  }
  return result;
}

}  // namespace warpbag::kernels
