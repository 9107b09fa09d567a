// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `warpbag train` does once its arguments and the data are read.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/data_options.hpp"
#include "cli/device_options.hpp"
#include "cli/interrupt.hpp"
#include "cli/machine_options.hpp"
#include "cli/rank_launch.hpp"
#include "cli/rank_options.hpp"
#include "cli/reporter.hpp"
#include "cli/run_record.hpp"

namespace warpbag::cli {

struct train_options {
  data_options data;
  machine_arguments machine;
  run_options run;
  device_options device;
  rank_options ranks;
  bad_id_policy bad_ids = bad_id_policy::error;
  std::int64_t epochs = 5;
  std::optional<std::int64_t> steps;  ///< instead of epochs
  std::string checkpoint;             ///< a folder; empty: none
  std::int64_t save_every = 0;        ///< steps; 0: at the end only
  bool resume = false;
  std::string dump_batches;  ///< a file; empty: none
  report_options report;
};

/// The run of one rank. All ranks do the same with their parts of each batch; what is told and
/// decided comes from numbers that all of them have, and rank 0 tells it.
class training_run {
 public:
  /// Makes the machine, or takes it from the checkpoint. Keeps a reference to `data`.
  training_run(const train_options& options, const loaded_data& data, rank_place place);

  /// Trains, validates, saves; returns the exit code.
  int run(const interrupt_guard& interrupt);

 private:
  void make_machine();
  bool is_first() { return machine_->ranks().rank() == 0; }
  void require_same_data();
  void resume();
  void train(const interrupt_guard& interrupt);
  void end_epoch();
  /// Waits for the steps under way and stops the clock.
  void settle();
  void save();
  void on_batch(const model::batch_slot& slot);
  std::optional<model::evaluation> validate();
  double samples_per_second() const;
  void report_result(bool interrupted);

  train_options options_;
  rank_place place_;
  reporter reporter_;
  const loaded_data* data_;
  dataset_split split_;
  run_record record_;
  std::optional<model::factorization_machine> machine_;
  std::optional<batch_loader> loader_;
  std::optional<model::batch_pipeline> pipeline_;
  std::int64_t total_steps_ = 0;
  std::int64_t next_step_ = 0;  // to be enqueued
  std::int64_t saved_step_ = -1;
  bool vocabularies_saved_ = false;
  std::optional<model::evaluation> validation_;  // of the weights after validated_step_
  std::int64_t validated_step_ = -1;

  // Of this process: what a resumed run did before does not count in its speed.
  std::int64_t samples_trained_ = 0;
  std::int64_t first_step_ = 0;
  double seconds_settled_ = 0.0;
  std::optional<std::chrono::steady_clock::time_point> clock_start_;
  double seconds_trained() const;
};

}  // namespace warpbag::cli
