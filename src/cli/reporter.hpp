// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a training run tells what it does: a progress line on a terminal, plain lines otherwise, JSON
// lines for machines.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "model/batch_pipeline.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::cli {

struct report_options {
  bool json = false;           ///< JSON lines on stdout instead of text
  bool quiet = false;          ///< the result only
  bool silent = false;         ///< nothing: another rank tells
  std::int64_t log_every = 0;  ///< a line for each so many steps; 0: by time
};

struct step_report {
  std::int64_t step = 0;  ///< steps done
  std::int64_t total_steps = 0;
  std::int64_t epoch = 0;  ///< from 1
  double loss = 0.0;       ///< mean of the step's batch
  double samples_per_second = 0.0;
  double seconds_left = 0.0;
};

struct epoch_report {
  std::int64_t epoch = 0;
  double train_loss = 0.0;
  std::optional<model::evaluation> validation;
  double samples_per_second = 0.0;
};

struct result_report {
  std::int64_t steps = 0;
  double train_loss = 0.0;  ///< NaN: nothing was trained
  std::optional<model::evaluation> validation;
  std::optional<double> planted_auc;  ///< of the generator's own logits
  double samples_per_second = 0.0;
  double seconds = 0.0;
  std::optional<std::int64_t> bad_ids;
  std::string checkpoint;  ///< empty: none
  bool interrupted = false;
};

class reporter {
 public:
  explicit reporter(const report_options& options);

  void data(const dataset& samples, std::int64_t num_train, std::int64_t num_validation);
  void step(const step_report& report);
  void epoch(const epoch_report& report);
  void result(const result_report& report);
  /// To people: nothing under --json.
  void note(const std::string& text);

 private:
  bool is_due(const step_report& report);
  void clear_line();

  report_options options_;
  bool terminal_;
  bool colour_;
  bool line_is_open_ = false;  // a progress line without its end is on the terminal
  std::chrono::steady_clock::time_point last_;
};

}  // namespace warpbag::cli
