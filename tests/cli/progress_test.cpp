// SPDX-License-Identifier: Apache-2.0
// What `warpbag train` shows while it runs, on a terminal and elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "cli/program.hpp"

namespace warpbag::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view clear_line = "\r\033[K";

/// A run that ends by a signal only. An epoch has 11250 steps, so that lines of steps follow each
/// other.
const std::vector<std::string> endless = {"train",   "--generate", "200000",       "--dim", "4",
                                          "--steps", "1000000000", "--batch-size", "16"};

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; ++at) ++found;
  return found;
}

/// Runs until the progress line was written three times, then interrupts.
program_result run_for_three_lines(const std::vector<std::string>& environment) {
  bool sent = false;
  return run_on_terminal(endless, environment, [&](int pid, std::string_view output) {
    if (sent || count(output, "  step ") < 3) return;
    sent = true;
    ::kill(pid, SIGINT);
  });
}

TEST(Progress, rewrites_one_line_on_a_terminal_and_clears_it) {
  const program_result run = run_for_three_lines({"TERM=xterm", "NO_COLOR="});
  EXPECT_EQ(run.exit_code, 130);
  const std::size_t first = run.out.find("  step ");
  ASSERT_NE(first, std::string::npos);
  EXPECT_THAT(run.out, ContainsRegex(
                           "epoch [0-9]+  step [0-9,]+ of [0-9,]+ \\([0-9]+%\\)  loss 0\\.[0-9]+"));
  EXPECT_GE(count(run.out, clear_line), 3U);
  // No progress line is ever ended, so none stays: each is cleared by what comes next.
  for (std::size_t at = first; at != std::string::npos; at = run.out.find("  step ", at + 1)) {
    EXPECT_LT(run.out.find(clear_line, at), run.out.find('\n', at)) << run.out.substr(at, 100);
  }
  EXPECT_THAT(run.out, HasSubstr("interrupted after step"));
}

TEST(Progress, fits_the_terminal) {
  const program_result run = run_for_three_lines({"TERM=xterm"});
  std::size_t cut = 0;
  for (std::size_t at = 0; (at = run.out.find(clear_line, at)) != std::string::npos;) {
    at += clear_line.size();
    const std::size_t end = run.out.find_first_of("\r\n", at);
    const std::string_view line = std::string_view(run.out).substr(at, end - at);
    if (line.find("  step ") == std::string_view::npos) continue;
    EXPECT_LT(line.size(), 80U) << line;
    if (line.size() == 79) ++cut;
  }
  EXPECT_GT(cut, 0U) << "no line was long enough to need cutting";
}

TEST(Progress, has_colour_unless_no_color_is_set) {
  const std::vector<std::string> short_run = {"train", "--generate", "500", "--epochs", "1"};
  EXPECT_THAT(run_on_terminal(short_run, {"TERM=xterm", "NO_COLOR="}).out, HasSubstr("\033[1m"));
  const program_result plain = run_on_terminal(short_run, {"TERM=xterm", "NO_COLOR=1"});
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_THAT(plain.out, HasSubstr("epoch 1"));
  EXPECT_THAT(plain.out, Not(HasSubstr("\033[1m")));
}

TEST(Progress, writes_plain_lines_on_a_dumb_terminal_and_where_there_is_none) {
  const std::vector<std::string> short_run = {
      "train", "--generate", "2000", "--epochs", "1", "--batch-size", "100", "--log-every", "6"};
  const program_result dumb = run_on_terminal(short_run, {"TERM=dumb"});
  const program_result file = run_program(short_run);
  for (const std::string& text : {dumb.out, file.err}) {
    EXPECT_THAT(text, Not(HasSubstr("\033")));
    EXPECT_EQ(count(text, "  step "), 3U) << text;
    EXPECT_THAT(text, ContainsRegex("step 6 of 18 \\(33%\\)  loss 0\\.[0-9]+  [0-9,]+ samples/s  "
                                    "[0-9]+:[0-9][0-9] left\r?\n"));
  }
}

}  // namespace
}  // namespace warpbag::cli
