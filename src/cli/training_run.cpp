// SPDX-License-Identifier: Apache-2.0
#include "cli/training_run.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "cli/dump_batches.hpp"
#include "cli/exit_code.hpp"
#include "cli/vocabulary_file.hpp"
#include "model/auc.hpp"
#include "model/machine_tables.hpp"
#include "warpbag/checkpoint.hpp"
#include "warpbag/error.hpp"

namespace warpbag::cli {

namespace {

/// Rank 0 tells what the run does.
report_options report_of(report_options options, const rank_place& place) {
  options.silent = place.ranks != nullptr && place.ranks->rank() != 0;
  return options;
}

/// The AUC of the logits that the generator drew labels from: what no model can beat by much.
double planted_auc(const loaded_data& data, const std::vector<std::int64_t>& selection) {
  std::vector<float> logits;
  std::vector<float> labels;
  for (const std::int64_t sample : selection) {
    logits.push_back(data.planted_logits[static_cast<std::size_t>(sample)]);
    labels.push_back(data.samples.labels()[static_cast<std::size_t>(sample)]);
  }
  return model::area_under_curve(logits, labels);
}

}  // namespace

training_run::training_run(const train_options& options, const loaded_data& data, rank_place place)
    : options_(options),
      place_(std::move(place)),
      reporter_(report_of(options.report, place_)),
      data_(&data) {
  const std::filesystem::path file = checkpoint_file(options_.checkpoint);
  if (!options_.checkpoint.empty() && !options_.resume && std::filesystem::exists(file)) {
    throw invalid_argument(file.string() + " exists; --resume goes on from it");
  }
  const dataset& samples = data_->samples;
  record_.data = options_.data;
  record_.fingerprint = samples.fingerprint();
  record_.machine = model::make_machine_config(samples, parse(options_.machine));
  record_.run = options_.run;
  split_ = split_of(samples, record_);
  reporter_.data(samples, static_cast<std::int64_t>(split_.train.size()),
                 static_cast<std::int64_t>(split_.validation.size()));

  make_machine();
  require_same_data();
  loader_.emplace(samples, split_.train,
                  batch_options{options_.run.batch_size, true, record_.machine.options.seed});
  pipeline_.emplace(*machine_, model::batch_work::train,
                    [this](const model::batch_slot& slot) { on_batch(slot); });
  total_steps_ = options_.steps.value_or(options_.epochs * loader_->steps_per_epoch());
  if (options_.resume) resume();
}

void training_run::make_machine() {
  if (place_.ranks == nullptr) {
    machine_.emplace(record_.machine, *place_.device, options_.bad_ids);
    return;
  }
  const sharding_plan plan =
      plan_of(options_.ranks, model::machine_tables(record_.machine), place_.ranks->size());
  machine_.emplace(record_.machine, *place_.device, options_.bad_ids, plan, place_.ranks);
}

/// Every process reads the data for itself: from another file it would train without a word.
void training_run::require_same_data() {
  const auto words = machine_->ranks().gather(static_cast<std::int64_t>(record_.fingerprint));
  for (std::size_t rank = 1; rank < words.size(); ++rank) {
    if (words[rank] == words[0]) continue;
    throw invalid_argument("rank " + std::to_string(rank) + " has other data than rank 0");
  }
}

void training_run::resume() {
  const std::filesystem::path file = checkpoint_file(options_.checkpoint);
  const run_record saved = from_metadata(read_checkpoint_metadata(file), file);
  require_same_run(saved, record_);
  machine_->load(file);
  record_.progress = saved.progress;
  next_step_ = saved.progress.step;
  first_step_ = next_step_;
  saved_step_ = next_step_;
  reporter_.note("resumed after step " + std::to_string(next_step_));
}

int training_run::run(const interrupt_guard& interrupt) {
  if (!options_.dump_batches.empty() && is_first()) {
    dump_batches(options_.dump_batches, data_->samples, *loader_, {next_step_, total_steps_},
                 split_.validation);
  }
  train(interrupt);
  if (!options_.checkpoint.empty() && saved_step_ != record_.progress.step) save();
  const bool interrupted = next_step_ < total_steps_;
  if (interrupted) {
    reporter_.note("interrupted after step " + std::to_string(next_step_) +
                   (options_.checkpoint.empty() ? "; nothing is kept without --checkpoint"
                                                : "; --resume goes on"));
  } else {
    validation_ = validate();
  }
  report_result(interrupted);
  return interrupted ? exit_interrupted : exit_ok;
}

void training_run::train(const interrupt_guard& interrupt) {
  // A signal comes to ranks at different steps, or to some alone: they agree on it.
  while (next_step_ < total_steps_ && !machine_->ranks().any(interrupt.interrupted())) {
    if (!clock_start_) clock_start_ = std::chrono::steady_clock::now();
    pipeline_->enqueue(*loader_, next_step_);
    ++next_step_;
    if (next_step_ % loader_->steps_per_epoch() == 0) end_epoch();
    if (options_.save_every > 0 && next_step_ % options_.save_every == 0) save();
  }
  settle();
}

void training_run::end_epoch() {
  settle();
  training_progress& progress = record_.progress;
  progress.last_epoch_loss = progress.epoch.mean();
  progress.epoch = {};
  validation_ = validate();
  reporter_.epoch({next_step_ / loader_->steps_per_epoch(), *progress.last_epoch_loss, validation_,
                   samples_per_second()});
}

void training_run::settle() {
  pipeline_->drain();
  machine_->check();
  seconds_settled_ = seconds_trained();
  clock_start_.reset();
}

void training_run::save() {
  settle();
  if (is_first() && !vocabularies_saved_) {
    std::filesystem::create_directories(options_.checkpoint);
    save_vocabularies(data_->samples, vocabulary_file(options_.checkpoint));
    vocabularies_saved_ = true;
  }
  machine_->save(checkpoint_file(options_.checkpoint), to_metadata(record_));
  saved_step_ = record_.progress.step;
}

void training_run::on_batch(const model::batch_slot& slot) {
  training_progress& progress = record_.progress;
  model::loss_sum of_batch;
  of_batch.add(slot.host_losses());
  if (!std::isfinite(of_batch.total)) {
    machine_->check();  // a bad batch on a device has losses of no meaning
    throw error("the loss is not finite at step " + std::to_string(progress.step + 1) +
                ": a smaller --lr may help");
  }
  progress.epoch.total += of_batch.total;
  progress.epoch.samples += of_batch.samples;
  ++progress.step;
  samples_trained_ += of_batch.samples;

  const double seconds_per_step =
      seconds_trained() / static_cast<double>(progress.step - first_step_);
  reporter_.step({progress.step, total_steps_, (progress.step - 1) / loader_->steps_per_epoch() + 1,
                  of_batch.mean(), samples_per_second(),
                  seconds_per_step * static_cast<double>(total_steps_ - progress.step)});
}

std::optional<model::evaluation> training_run::validate() {
  if (split_.validation.empty()) return std::nullopt;
  if (validated_step_ == next_step_) return validation_;
  validated_step_ = next_step_;
  return model::evaluate(*machine_, data_->samples, split_.validation, options_.run.batch_size);
}

double training_run::seconds_trained() const {
  if (!clock_start_) return seconds_settled_;
  const std::chrono::duration<double> running = std::chrono::steady_clock::now() - *clock_start_;
  return seconds_settled_ + running.count();
}

double training_run::samples_per_second() const {
  const double seconds = seconds_trained();
  return seconds > 0.0 ? static_cast<double>(samples_trained_) / seconds : 0.0;
}

void training_run::report_result(bool interrupted) {
  result_report report;
  report.steps = record_.progress.step;
  report.train_loss =
      record_.progress.epoch.samples > 0
          ? record_.progress.epoch.mean()
          : record_.progress.last_epoch_loss.value_or(std::numeric_limits<double>::quiet_NaN());
  report.validation = validation_;
  if (validation_ && !data_->planted_logits.empty()) {
    report.planted_auc = planted_auc(*data_, split_.validation);
  }
  if (options_.bad_ids != bad_id_policy::error) {
    report.bad_ids = machine_->bad_ids();
  }
  report.samples_per_second = samples_per_second();
  report.seconds = seconds_trained();
  if (!options_.checkpoint.empty()) {
    report.checkpoint = checkpoint_file(options_.checkpoint).string();
  }
  report.interrupted = interrupted;
  reporter_.result(report);
}

}  // namespace warpbag::cli
