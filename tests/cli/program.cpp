// SPDX-License-Identifier: Apache-2.0
#include "cli/program.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace warpbag::cli {

namespace {

/// In the child: becomes the program.
[[noreturn]] void become(std::vector<std::string> words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(pointers.front(), pointers.data());
  ::_exit(127);
}

std::vector<std::string> with_program(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {program_file()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

int exit_code_of(int pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

std::vector<nlohmann::json> program_result::events() const {
  std::vector<nlohmann::json> events;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  return events;
}

nlohmann::json program_result::last_event() const {
  const std::vector<nlohmann::json> all = events();
  if (all.empty()) return {};
  return all.back();
}

std::string program_file() { return WARPBAG_PROGRAM; }

std::vector<nlohmann::json> told_numbers(const program_result& run) {
  std::vector<nlohmann::json> events = run.events();
  for (nlohmann::json& event : events) {
    for (const char* const key : {"samples_per_second", "seconds", "seconds_left", "checkpoint"}) {
      event.erase(key);
    }
  }
  return events;
}

program_result run_program(const std::vector<std::string>& arguments,
                           const std::function<void(int, std::string_view)>& on_line) {
  return run_command(with_program(arguments), on_line);
}

program_result run_command(const std::vector<std::string>& words,
                           const std::function<void(int, std::string_view)>& on_line) {
  const scratch_folder scratch;
  const std::string errors = scratch / "stderr";
  int out[2] = {};
  if (::pipe2(out, O_CLOEXEC) != 0) return {};
  const int pid = ::fork();
  if (pid == 0) {
    const int error_file = ::open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(error_file, STDERR_FILENO);
    become(words);
  }
  ::close(out[1]);

  program_result result;
  std::size_t line_begin = 0;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(out[0], buffer, sizeof(buffer))) > 0;) {
    result.out.append(buffer, static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = result.out.find('\n', line_begin)) != std::string::npos;) {
      if (on_line) on_line(pid, std::string_view(result.out).substr(line_begin, end - line_begin));
      line_begin = end + 1;
    }
  }
  ::close(out[0]);
  result.exit_code = exit_code_of(pid);
  result.err = read_file(errors);
  return result;
}

program_result run_on_terminal(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment,
                               const std::function<void(int, std::string_view)>& on_output) {
  std::vector<std::string> settings = environment;  // putenv keeps pointers into them
  const winsize size = {24, 80, 0, 0};
  int terminal = -1;
  const int pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    for (std::string& setting : settings) ::putenv(setting.data());
    become(with_program(arguments));
  }
  program_result result;
  char buffer[4096];
  // When the program has ended, reading fails with EIO.
  for (ssize_t count = 0; (count = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
    result.out.append(buffer, static_cast<std::size_t>(count));
    if (on_output) on_output(pid, result.out);
  }
  ::close(terminal);
  result.exit_code = exit_code_of(pid);
  return result;
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  EXPECT_TRUE(out.good()) << file;
}

}  // namespace warpbag::cli
