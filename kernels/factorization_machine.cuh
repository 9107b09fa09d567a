// SPDX-License-Identifier: Apache-2.0
#pragma once
// From pooled vectors to losses and their derivatives: one group of lanes per sample, all features
// in one launch. Lane l of a group of G holds quads l, l + G, ... of a row. Groups narrower than a
// warp serve rows of at most 4 G elements, where each lane has one quad: element j is then in lane
// j / 4, as N4 has it, and the lanes that a whole warp would have beyond it would only add +0.

#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"
#include "model/score_job.hpp"
#include "numerics/factorization_machine.hpp"

namespace warpbag::kernels {

using model::score_job;

/// Sums over the features of four dimensions.
struct quad_pair_sums {
  float sum[quad_elements] = {};
  float squares[quad_elements] = {};
};

template <int Width>
__device__ __forceinline__ quad_pair_sums sum_features(const score_job& job, const float* vectors,
                                                       std::int32_t column) {
  quad_pair_sums sums;
  for (std::int32_t feature = 0; feature < job.num_features; ++feature) {
    const quad element =
        load_quad<Width>(vectors + std::int64_t{feature} * job.dim, column, job.dim);
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      numerics::add_to_pair_sums(sums.sum[i], sums.squares[i], element.value[i]);
    }
  }
  return sums;
}

/// Derivatives by four elements of each feature's vector.
template <int Width>
__device__ __forceinline__ void write_gradients(const score_job& job, const float* vectors,
                                                float* out, std::int32_t column, float gradient,
                                                const quad_pair_sums& sums) {
  for (std::int32_t feature = 0; feature < job.num_features; ++feature) {
    const std::int64_t begin = std::int64_t{feature} * job.dim;
    quad element = load_quad<Width>(vectors + begin, column, job.dim);
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      element.value[i] = numerics::vector_gradient(gradient, sums.sum[i], element.value[i]);
    }
    store_quad<Width>(out + begin, column, job.dim, element);
  }
}

/// `GroupLanes`: lanes per sample, a power of two; below 32 it needs dim <= 4 * GroupLanes.
/// `Width`: elements per access; divides dim.
template <int GroupLanes, int Width>
__global__ void score_samples(const score_job job) {
  const int lane = static_cast<int>(threadIdx.x) % GroupLanes;
  const std::int64_t group = thread_index() / GroupLanes;
  const std::int64_t num_groups = num_threads() / GroupLanes;
  const std::int64_t rounds = (job.batch + num_groups - 1) / num_groups;
  for (std::int64_t round = 0; round < rounds; ++round) {
    // Every lane of a warp takes part in the shuffles; a group past the end does the last sample
    // again and writes nothing.
    const std::int64_t index = round * num_groups + group;
    const bool writes = index < job.batch;
    const std::int64_t sample = writes ? index : job.batch - 1;
    const float* const vectors = job.pooled + sample * job.stride;
    const float* const weights = vectors + std::int64_t{job.num_features} * job.dim;

    quad_pair_sums sums;
    float pair_terms = 0.0F;
    for (std::int32_t column = lane * quad_elements; column < job.dim;
         column += GroupLanes * quad_elements) {
      sums = sum_features<Width>(job, vectors, column);
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        pair_terms = pair_terms + numerics::pair_term(sums.sum[i], sums.squares[i]);
      }
    }
#pragma unroll
    for (int width = GroupLanes / 2; width > 0; width /= 2) {
      pair_terms = pair_terms + __shfl_xor_sync(full_mask, pair_terms, width);
    }

    float first_order = 0.0F;
    for (std::int32_t feature = 0; feature < job.num_features; ++feature) {
      first_order = first_order + weights[feature];
    }
    const float label = job.labels[sample];
    const float logit = numerics::machine_logit(weights[job.num_features], first_order, pair_terms);
    if (writes && lane == 0) {
      job.logits[sample] = logit;
      job.losses[sample] = numerics::logistic_loss(logit, label);
    }
    if (!writes || job.gradients == nullptr) continue;

    const float gradient = numerics::logit_gradient(logit, label, job.mean_over);
    float* const out = job.gradients + sample * job.stride;
    for (std::int32_t column = lane * quad_elements; column < job.dim;
         column += GroupLanes * quad_elements) {
      // A row of one quad per lane still has its sums in registers.
      if (job.dim > GroupLanes * quad_elements) {
        sums = sum_features<Width>(job, vectors, column);
      }
      write_gradients<Width>(job, vectors, out, column, gradient, sums);
    }
    float* const out_weights = out + std::int64_t{job.num_features} * job.dim;
    for (std::int32_t i = lane; i <= job.num_features; i += GroupLanes) out_weights[i] = gradient;
  }
}

}  // namespace warpbag::kernels
