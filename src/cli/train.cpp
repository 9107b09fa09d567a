// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "cli/choice_option.hpp"
#include "cli/training_run.hpp"
#include "cli/verbs.hpp"

namespace warpbag::cli {

namespace {

train_options defaults() {
  train_options options;
  options.machine.options.optimizer.kind = optimizer_kind::adagrad;
  options.machine.options.optimizer.learning_rate = 0.05F;
  return options;
}

void add_run_options(CLI::App& command, train_options& options) {
  command.add_option("--epochs", options.epochs, "Passes over the training samples")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Training");
  command.add_option("--steps", options.steps, "Stop after so many steps in all, not by epochs")
      ->check(CLI::NonNegativeNumber)
      ->excludes("--epochs")
      ->group("Training");
  command.add_option("--batch-size", options.run.batch_size, "Samples of a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Training");
  command.add_option("--validation", options.run.validation, "Share of the samples to validate on")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group("Training");
  add_choice(command, "--split", options.run.split, split_names(),
             "Validate on random samples, or on the latest")
      ->group("Training");
  add_bad_ids_option(command, options.bad_ids);
}

void add_output_options(CLI::App& command, train_options& options) {
  command.add_option("--checkpoint", options.checkpoint, "Folder to keep the checkpoint in")
      ->group("Output");
  command.add_option("--save-every", options.save_every, "Save after each so many steps too")
      ->check(CLI::PositiveNumber)
      ->needs("--checkpoint")
      ->group("Output");
  command.add_flag("--resume", options.resume, "Go on from the checkpoint, with the same bits")
      ->needs("--checkpoint")
      ->group("Output");
  command
      .add_option("--dump-batches", options.dump_batches,
                  "File for the batches of the steps to come, for other programs")
      ->group("Output");
  command.add_option("--log-every", options.report.log_every, "A line for each so many steps")
      ->check(CLI::PositiveNumber)
      ->group("Output");
  command.add_flag("--json", options.report.json, "JSON lines on stdout")->group("Output");
  command.add_flag("--quiet", options.report.quiet, "Only the result")->group("Output");
}

int run_train(const train_options& options) {
  static_cast<void>(are_wanted(options.ranks));  // options that clash need no data to be refused
  const loaded_data data = load_data(options.data);
  const interrupt_guard interrupt;
  return run_on_ranks(options.ranks, options.device, [&](rank_place place) {
    return training_run(options, data, std::move(place)).run(interrupt);
  });
}

}  // namespace

verb add_train(CLI::App& program) {
  const auto options = std::make_shared<train_options>(defaults());
  CLI::App* const command =
      program.add_subcommand("train", "Train a factorization machine on interactions");
  add_data_options(*command, options->data);
  add_machine_options(*command, options->machine);
  add_run_options(*command, *options);
  add_device_options(*command, options->device);
  add_rank_options(*command, options->ranks);
  add_output_options(*command, *options);
  command->footer(
      "Example:\n"
      "  warpbag train --data ml-100k.inter --epochs 10 --checkpoint run1\n"
      "  warpbag train --data ml-100k.inter --ranks 4 --checkpoint run2\n"
      "  mpirun -np 4 warpbag train --data ml-100k.inter --transport mpi --checkpoint run3\n"
      "SIGINT finishes the step, saves and exits with 130; --resume goes on from there.");
  return {command, [options] {
            options->data.generator_seed = options->machine.options.seed;
            return run_train(*options);
          }};
}

}  // namespace warpbag::cli
