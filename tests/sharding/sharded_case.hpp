// SPDX-License-Identifier: Apache-2.0
#pragma once
// A random training run of a sharded collection and what one device makes of the same global
// batches.

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "sharding/gradient_forms.hpp"
#include "support/random_source.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag::support {

/// Bags of one feature; `gradient`: of the output, [bags (mode none: lookups), dim].
struct feature_batch {
  std::vector<std::int64_t> lengths;
  std::vector<std::int64_t> ids;
  std::vector<float> weights;  // empty: none
  std::vector<float> gradient;
};

enum class bags_form : std::uint8_t { fixed, offsets, offsets_with_last };

struct sharded_case {
  std::uint64_t seed = 0;
  int num_ranks = 1;
  std::vector<table_config> tables;
  std::vector<feature_config> features;
  std::vector<bags_form> forms;  // [feature]; fixed: all bags have one length
  sharding_plan plan;
  collection_options options;
  index_type ids_type = index_type::i64;
  dtype output_type = dtype::f32;
  dtype gradient_type = dtype::f32;
  std::vector<training_form> training;  // [step]
  std::vector<dtype> value_types;       // [step] of sparse and dense gradients
  /// [step][feature]: global batches; sizes[step][feature][rank] samples.
  std::vector<std::vector<feature_batch>> batches;
  std::vector<std::vector<std::vector<std::int64_t>>> sizes;

  std::int64_t num_steps() const { return static_cast<std::int64_t>(batches.size()); }
};

std::ostream& operator<<(std::ostream& stream, const sharded_case& drawn);

/// The table that a feature reads.
const table_config& table_of(const sharded_case& drawn, std::size_t feature);

struct case_limits {
  std::int64_t max_samples = 200;  // of one rank
  std::int64_t max_hotness = 12;
  std::int64_t max_rows = 400;
  std::int64_t max_dim = 160;
  std::int64_t steps = 5;
  std::int64_t max_tables = 4;
  std::int64_t max_more_features = 2;  // than tables
  bool gradient_forms = true;          // or fused steps alone
  bool partial_bags = false;           // most tables are pooled in parts
};

/// Every kind of plan, option and type is drawn (row_exchange::partial_bags where wanted); the plan
/// is for `num_ranks`.
sharded_case random_case(std::uint64_t seed, int num_ranks, const case_limits& limits = {});

/// The bags of samples [first, last) of each feature in memory of a device, with outputs, output
/// gradients and gradients of weights.
class placed_batch {
 public:
  placed_batch(test_device& device, const sharded_case& drawn, std::size_t step,
               const std::vector<std::int64_t>& first, const std::vector<std::int64_t>& last);

  std::vector<jagged_view> bags;
  std::vector<tensor_view> outputs;
  std::vector<const_tensor_view> output_gradients;
  std::vector<float*> weight_gradients;

  /// Waits. Outputs widened to fp32, then gradients of weights, of one feature.
  std::vector<float> results(std::size_t feature);

 private:
  template <typename Index>
  void add_bags(test_device& device, const feature_batch& global, bags_form form,
                std::int64_t first, std::int64_t last);

  dtype output_type_;
  std::vector<device_array<std::byte>> bytes_;  // what must live as long as the views
  std::vector<device_array<std::byte>> outputs_;
  std::vector<device_array<float>> weight_gradients_;
  std::vector<std::unique_ptr<device_array<float>>> weights_;
  std::vector<std::vector<std::byte>> unused_;
};

/// What a run leaves, on the host, by table: rows in the order of ids, fp32.
struct table_contents {
  std::vector<float> weight;
  std::vector<float> state[2];
  step_state step;
};
struct run_results {
  std::vector<std::vector<std::vector<float>>> outputs;    // [step][feature] in sample order
  std::vector<std::vector<std::vector<float>>> gradients;  // [step][table] where steps show them
  std::vector<table_contents> tables;
};

/// All steps on one device; returns outputs and gradients.
run_results train_on_one_device(test_device& device, const sharded_case& drawn,
                                embedding_bag_collection& collection);
/// The same, with what it leaves.
run_results run_on_one_device(test_device& device, const sharded_case& drawn);

/// Room for the gradients of a rank's shards, after the step's forward; none for a fused step.
caller_gradients make_gradients(test_device& device, const sharded_case& drawn, std::int64_t step,
                                const sharded_embedding_bag_collection& collection);

/// What one rank has of a sharded run.
class rank_run {
 public:
  rank_run(test_device& device, const sharded_case& drawn, std::shared_ptr<transport> ranks);

  sharded_embedding_bag_collection& collection() { return collection_; }
  /// `prefetch`: the next step's batch is prefetched between forward and backward.
  void run(std::int64_t first_step, std::int64_t last_step, bool prefetch);
  /// The calls that run() is made of.
  void forward(std::int64_t step);
  void prefetch(std::int64_t step) { collection_.prefetch(batch(step).bags); }
  void backward(std::int64_t step);
  placed_batch& batch(std::int64_t step);

  /// Puts this rank's part of outputs and rows where one device has them. Ranks may do so at the
  /// same time: parts do not overlap, but for replicas, which only rank 0 adds.
  void collect(run_results& results);

 private:
  /// Of what several ranks hold, one rank's counts.
  bool counts(std::size_t shard, std::int64_t id) const;

  test_device& device_;
  const sharded_case& case_;
  int rank_;
  sharded_embedding_bag_collection collection_;
  std::vector<std::unique_ptr<placed_batch>> batches_;  // [step], made when first wanted
  std::vector<gradient_part> parts_;
  std::vector<std::vector<part_gradient>> gradients_;  // [step][part]
};

/// Shapes of results for `drawn`, filled with a pattern that no run leaves.
run_results make_results(const sharded_case& drawn);

/// Empty when both hold the same bits (all NaNs are the same); else what differs first.
std::string difference(const run_results& expected, const run_results& actual);

/// All steps on in-process ranks of the CPU.
run_results run_sharded(const sharded_case& drawn, bool prefetch);

/// Runs body(rank) on a thread for each rank and waits. Rethrows the exception of the lowest rank
/// that threw.
void for_each_rank(int num_ranks, const std::function<void(int)>& body);

}  // namespace warpbag::support
