// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "cpu/thread_pool.hpp"
#include "model/model_device.hpp"
#include "numerics/factorization_machine.hpp"

namespace warpbag::model {

namespace {

class cpu_twin_memory final : public twin_memory {
 public:
  explicit cpu_twin_memory(std::size_t bytes) : memory_(bytes) {}
  std::byte* host() noexcept override { return memory_.data(); }
  std::byte* device() noexcept override { return memory_.data(); }
  void copy_to_device(std::size_t) override {}
  void copy_to_host(std::size_t) override {}
  void wait() override {}

 private:
  std::vector<std::byte> memory_;
};

/// Sums over features, one element per dimension. One per thread.
struct pair_sums {
  std::vector<float> sum;
  std::vector<float> squares;

  void start(std::size_t dim) {
    sum.assign(dim, 0.0F);
    squares.assign(dim, 0.0F);
  }
};

void score_sample(const score_job& job, std::int64_t sample, pair_sums& scratch) {
  const auto dim = static_cast<std::size_t>(job.dim);
  scratch.start(dim);
  float* const sum = scratch.sum.data();
  float* const squares = scratch.squares.data();

  const float* const vectors = job.pooled + sample * job.stride;
  const float* const weights = vectors + std::int64_t{job.num_features} * job.dim;
  float first_order = 0.0F;
  for (std::int32_t feature = 0; feature < job.num_features; ++feature) {
    const float* const vector = vectors + std::int64_t{feature} * job.dim;
    for (std::size_t d = 0; d < dim; ++d) numerics::add_to_pair_sums(sum[d], squares[d], vector[d]);
    first_order = first_order + weights[feature];
  }
  const float pair_terms = numerics::reduce_over_dim(job.dim, [&](float acc, std::int64_t d) {
    return acc + numerics::pair_term(sum[d], squares[d]);
  });
  const float logit = numerics::machine_logit(weights[job.num_features], first_order, pair_terms);
  job.logits[sample] = logit;
  job.losses[sample] = numerics::logistic_loss(logit, job.labels[sample]);
  if (job.gradients == nullptr) return;

  const float gradient = numerics::logit_gradient(logit, job.labels[sample], job.mean_over);
  float* const out = job.gradients + sample * job.stride;
  for (std::int32_t feature = 0; feature < job.num_features; ++feature) {
    const std::int64_t begin = std::int64_t{feature} * job.dim;
    const float* const vector = vectors + begin;
    float* const out_vector = out + begin;
    for (std::size_t d = 0; d < dim; ++d) {
      out_vector[d] = numerics::vector_gradient(gradient, sum[d], vector[d]);
    }
  }
  std::fill_n(out + std::int64_t{job.num_features} * job.dim, job.num_features + 1, gradient);
}

class cpu_model_device final : public model_device {
 public:
  explicit cpu_model_device(int num_threads)
      : resources_{{device_kind::cpu, 0}, nullptr, nullptr, num_threads},
        threads_(num_threads),
        scratch_(static_cast<std::size_t>(threads_.num_threads())) {}

  const resources& get_resources() const noexcept override { return resources_; }

  cpu::thread_pool& host_threads() noexcept override { return threads_; }

  std::unique_ptr<twin_memory> make_twin_memory(std::size_t bytes) override {
    return std::make_unique<cpu_twin_memory>(bytes);
  }

  std::shared_ptr<float> make_zeros(std::size_t count) override {
    auto zeros = std::make_shared<std::vector<float>>(count);
    return {zeros, zeros->data()};
  }

  void score(const score_job& job) override {
    constexpr std::int64_t chunk = 64;
    threads_.for_each((job.batch + chunk - 1) / chunk, [&](std::int64_t index, int thread) {
      const std::int64_t end = std::min(job.batch, (index + 1) * chunk);
      for (std::int64_t sample = index * chunk; sample < end; ++sample) {
        score_sample(job, sample, scratch_[static_cast<std::size_t>(thread)]);
      }
    });
  }

 private:
  resources resources_;
  cpu::thread_pool threads_;
  std::vector<pair_sums> scratch_;
};

}  // namespace

std::unique_ptr<model_device> make_cpu_model_device(int num_threads) {
  return std::make_unique<cpu_model_device>(num_threads);
}

std::unique_ptr<model_device> make_model_device(device where, int num_threads) {
  return where.kind == device_kind::cpu ? make_cpu_model_device(num_threads)
                                        : make_cuda_model_device(where.ordinal);
}

}  // namespace warpbag::model
