// SPDX-License-Identifier: Apache-2.0
#include "cli/reporter.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/report_table.hpp"

namespace warpbag::cli {

namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds terminal_interval(100);
constexpr std::chrono::seconds plain_interval(10);

/// stderr is a terminal that knows how to clear a line.
bool is_terminal() {
  const char* const terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

bool wants_colour() {
  // https://no-color.org: set and not empty.
  const char* const no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

/// As much of `text` as one line of the terminal holds: what wraps could not be cleared. Asked for
/// each time, since windows change.
std::string_view within_terminal(std::string_view text) {
  winsize window{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return text;
  return text.substr(0, window.ws_col - std::size_t{1});
}

void print(const json& event) { std::cout << event.dump() << std::endl; }

void add(json& event, const std::optional<model::evaluation>& validation) {
  if (!validation) return;
  event["validation_loss"] = validation->loss;
  event["validation_auc"] = validation->auc;
}

std::string rate(double samples_per_second) {
  return with_commas(static_cast<std::int64_t>(samples_per_second)) + " samples/s";
}

}  // namespace

reporter::reporter(const report_options& options)
    : options_(options),
      terminal_(is_terminal()),
      colour_(terminal_ && wants_colour()),
      last_(std::chrono::steady_clock::now()) {}

void reporter::note(const std::string& text) {
  if (options_.json || options_.quiet || options_.silent) return;
  clear_line();
  std::cerr << text << '\n';
}

void reporter::data(const dataset& samples, std::int64_t num_train, std::int64_t num_validation) {
  if (options_.silent) return;
  if (options_.json && !options_.quiet) {
    json tables;
    for (const dataset_table& table : samples.tables()) tables[table.name] = table.num_ids;
    print({{"event", "data"},
           {"samples", samples.num_samples()},
           {"train", num_train},
           {"validation", num_validation},
           {"skipped_rows", samples.num_skipped_rows()},
           {"tables", tables}});
    return;
  }
  std::string text = with_commas(samples.num_samples()) + " samples (" + with_commas(num_train) +
                     " to train, " + with_commas(num_validation) + " to validate)";
  for (const dataset_table& table : samples.tables()) {
    text += ", " + table.name + " " + with_commas(table.num_ids);
  }
  if (samples.num_skipped_rows() > 0) {
    text += "; " + with_commas(samples.num_skipped_rows()) + " bad rows left out";
  }
  note(text);
}

bool reporter::is_due(const step_report& report) {
  if (options_.quiet || options_.silent) return false;
  if (options_.log_every > 0) return report.step % options_.log_every == 0;
  const auto now = std::chrono::steady_clock::now();
  const bool in_place = terminal_ && !options_.json;
  if (now - last_ < (in_place ? terminal_interval : plain_interval)) return false;
  last_ = now;
  return true;
}

void reporter::step(const step_report& report) {
  if (!is_due(report)) return;
  if (options_.json) {
    print({{"event", "step"},
           {"step", report.step},
           {"epoch", report.epoch},
           {"loss", report.loss},
           {"samples_per_second", report.samples_per_second},
           {"seconds_left", report.seconds_left}});
    return;
  }
  const std::int64_t percent = 100 * report.step / report.total_steps;
  const std::string text = "epoch " + std::to_string(report.epoch) + "  step " +
                           with_commas(report.step) + " of " + with_commas(report.total_steps) +
                           " (" + std::to_string(percent) + "%)  loss " +
                           with_digits(report.loss, 4) + "  " + rate(report.samples_per_second) +
                           "  " + as_time(report.seconds_left) + " left";
  if (terminal_ && options_.log_every == 0) {
    clear_line();
    std::cerr << within_terminal(text) << std::flush;
    line_is_open_ = true;
  } else {
    std::cerr << text << '\n';
  }
}

void reporter::epoch(const epoch_report& report) {
  if (options_.quiet || options_.silent) return;
  if (options_.json) {
    json event = {{"event", "epoch"},
                  {"epoch", report.epoch},
                  {"train_loss", report.train_loss},
                  {"samples_per_second", report.samples_per_second}};
    add(event, report.validation);
    print(event);
    return;
  }
  const std::string name = "epoch " + std::to_string(report.epoch);
  std::string text = (colour_ ? "\033[1m" + name + "\033[0m" : name) + "  train loss " +
                     with_digits(report.train_loss, 4);
  if (report.validation) {
    text += "  validation loss " + with_digits(report.validation->loss, 4) + "  AUC " +
            with_digits(report.validation->auc, 4);
  }
  note(text + "  " + rate(report.samples_per_second));
}

void reporter::result(const result_report& report) {
  if (options_.silent) return;
  if (options_.json) {
    json event = {{"event", "result"},
                  {"steps", report.steps},
                  {"train_loss", report.train_loss},
                  {"samples_per_second", report.samples_per_second},
                  {"seconds", report.seconds},
                  {"interrupted", report.interrupted},
                  {"checkpoint", report.checkpoint.empty() ? json() : json(report.checkpoint)}};
    add(event, report.validation);
    if (report.planted_auc) event["planted_auc"] = *report.planted_auc;
    if (report.bad_ids) event["bad_ids"] = *report.bad_ids;
    print(event);
    return;
  }
  clear_line();
  std::vector<std::vector<std::string>> rows = {{"train loss", with_digits(report.train_loss, 4)}};
  if (report.validation) {
    rows.push_back({"validation loss", with_digits(report.validation->loss, 4)});
    rows.push_back({"validation AUC", with_digits(report.validation->auc, 4)});
  }
  if (report.planted_auc) {
    rows.push_back({"best AUC possible", with_digits(*report.planted_auc, 4)});
  }
  if (report.bad_ids) rows.push_back({"bad ids", with_commas(*report.bad_ids)});
  rows.push_back({"samples/s", with_commas(static_cast<std::int64_t>(report.samples_per_second))});
  rows.push_back({"training time", with_digits(report.seconds, 1) + " s"});
  rows.push_back({"checkpoint", report.checkpoint.empty() ? "none (--checkpoint DIR keeps one)"
                                                          : report.checkpoint});
  print_table(std::cout, rows);
}

void reporter::clear_line() {
  if (!line_is_open_) return;
  std::cerr << "\r\033[K";
  line_is_open_ = false;
}

}  // namespace warpbag::cli
