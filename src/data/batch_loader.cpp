// SPDX-License-Identifier: Apache-2.0
#include "warpbag/batch_loader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

// The stream of the split; epochs count up from 0 and do not get there.
constexpr std::uint32_t split_stream = std::numeric_limits<std::uint32_t>::max();

std::int64_t num_validation_samples(const dataset& samples, double fraction) {
  if (!(fraction >= 0.0 && fraction < 1.0)) {
    throw invalid_argument("a validation fraction of " + std::to_string(fraction) +
                           " is not in [0, 1)");
  }
  const auto count = std::llround(fraction * static_cast<double>(samples.num_samples()));
  if (count >= samples.num_samples()) {
    throw invalid_argument("a validation fraction of " + std::to_string(fraction) + " of " +
                           std::to_string(samples.num_samples()) +
                           " samples leaves none to train on");
  }
  return count;
}

}  // namespace

dataset_split split_by_ratio(const dataset& samples, double fraction, std::uint64_t seed) {
  const std::int64_t num_validation = num_validation_samples(samples, fraction);
  const permutation shuffled(samples.num_samples(), seed, split_stream);
  dataset_split split;
  for (std::int64_t sample = 0; sample < samples.num_samples(); ++sample) {
    (shuffled(sample) < num_validation ? split.validation : split.train).push_back(sample);
  }
  return split;
}

dataset_split split_by_time(const dataset& samples, double fraction) {
  const std::int64_t num_train = samples.num_samples() - num_validation_samples(samples, fraction);
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples.num_samples()));
  std::iota(order.begin(), order.end(), 0);
  if (const auto times = samples.timestamps(); !times.empty()) {
    std::stable_sort(order.begin(), order.end(), [times](std::int64_t a, std::int64_t b) {
      return times[static_cast<std::size_t>(a)] < times[static_cast<std::size_t>(b)];
    });
  }
  return {{order.begin(), order.begin() + num_train}, {order.begin() + num_train, order.end()}};
}

batch_loader::batch_loader(const dataset& samples, std::vector<std::int64_t> selection,
                           const batch_options& options)
    : dataset_(&samples), selection_(std::move(selection)), options_(options) {
  if (options_.batch_size < 1) {
    throw invalid_argument("a batch size of " + std::to_string(options_.batch_size));
  }
  if (selection_.empty()) throw invalid_argument("there are no samples to make batches of");
  for (const std::int64_t sample : selection_) {
    if (sample < 0 || sample >= samples.num_samples()) {
      throw invalid_argument("sample " + std::to_string(sample) + " is not one of the dataset's " +
                             std::to_string(samples.num_samples()));
    }
  }
  // Not (num_samples + batch_size - 1) / batch_size: that sum may overflow.
  steps_per_epoch_ = (num_samples() - 1) / options_.batch_size + 1;
}

std::int64_t batch_loader::epoch_of(std::int64_t step) const {
  if (step < 0) throw invalid_argument("there is no training step " + std::to_string(step));
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch >= std::int64_t{split_stream}) {
    throw invalid_argument("training step " + std::to_string(step) + " is past epoch 2^32 - 2");
  }
  return epoch;
}

std::int64_t batch_loader::batch_size(std::int64_t step) const {
  static_cast<void>(epoch_of(step));
  return std::min(options_.batch_size, num_samples() - first_place(step));
}

void batch_loader::load(std::int64_t step, batch& out, batch_part part) const {
  const std::int64_t epoch = epoch_of(step);
  const std::int64_t whole = batch_size(step);
  const std::int64_t begin = first_place(step) + part.begin_of(whole);
  const std::int64_t size = part.end_of(whole) - part.begin_of(whole);
  const permutation shuffled(num_samples(), options_.seed, static_cast<std::uint32_t>(epoch));
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(size));
  if (options_.shuffle) {
    shuffled.images(begin, chosen);
  } else {
    std::iota(chosen.begin(), chosen.end(), begin);
  }
  for (std::int64_t& sample : chosen) sample = selection_[static_cast<std::size_t>(sample)];
  dataset_->gather(chosen, out);
}

}  // namespace warpbag
