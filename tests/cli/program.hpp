// SPDX-License-Identifier: Apache-2.0
#pragma once
// Runs the built program as a user would.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/temporary_folder.hpp"

namespace warpbag::cli {

struct program_result {
  int exit_code = -1;  ///< -signal when a signal ended it
  std::string out;
  std::string err;

  /// stdout as JSON lines.
  std::vector<nlohmann::json> events() const;
  /// The last line of stdout as JSON.
  nlohmann::json last_event() const;
};

/// The built program's file.
std::string program_file();

/// Runs a program, its name first, found as a shell finds it. `on_line`: called with the process id
/// and each line of stdout as it comes.
program_result run_command(const std::vector<std::string>& words,
                           const std::function<void(int, std::string_view)>& on_line = {});
/// The same with the built program.
program_result run_program(const std::vector<std::string>& arguments,
                           const std::function<void(int, std::string_view)>& on_line = {});

/// What a run tells as JSON lines, without what differs from run to run: speed, time, place.
std::vector<nlohmann::json> told_numbers(const program_result& run);

/// Runs the built program with stdout and stderr on a terminal of 80 columns and with more in its
/// environment, each NAME=VALUE. `out` is what the terminal got, where a line ends with "\r\n";
/// `err` is empty. `on_output`: called with the process id and all output so far.
program_result run_on_terminal(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment,
                               const std::function<void(int, std::string_view)>& on_output = {});

/// A folder of its own for each test, removed with it.
class scratch_folder : public testing::temporary_folder {
 public:
  std::string operator/(std::string_view name) const { return (path() / name).string(); }
};

std::string read_file(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, std::string_view text);

}  // namespace warpbag::cli
