// SPDX-License-Identifier: Apache-2.0
#include "cli/verbs.hpp"

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <new>
#include <string>

#include "cli/exit_code.hpp"
#include "warpbag/error.hpp"

namespace warpbag::cli {

namespace {

int complain(const std::exception& problem, exit_code code) {
  // In one piece: other ranks may complain on the same terminal.
  std::cerr << std::string("warpbag: ") + problem.what() + "\n";
  return code;
}

int run_verb(const verb& verb) {
  try {
    const int code = verb.run();
    std::cout.flush();
    // A full disk or a closed pipe must not look like success.
    if (!std::cout) throw io_error("cannot write to standard output");
    return code;
  } catch (const invalid_argument& problem) {
    return complain(problem, exit_usage);
  } catch (const corrupt_file& problem) {
    return complain(problem, exit_corrupt_file);
  } catch (const parse_error& problem) {
    return complain(problem, exit_corrupt_file);
  } catch (const device_unavailable& problem) {
    return complain(problem, exit_no_device);
  } catch (const std::exception& problem) {
    return complain(problem, exit_failure);
  }
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  CLI::App program("Embedding-bag training for recommenders, with the same bits on CPU and GPU",
                   "warpbag");
  program.set_version_flag("--version", "warpbag " WARPBAG_VERSION);
  program.require_subcommand(1);
  program.footer(
      "warpbag VERB --help tells more. Exit codes: 0 ok, 1 failure, 2 usage,\n"
      "3 corrupt file, 4 no such device, 130 interrupted.");
  const verb verbs[] = {add_train(program), add_eval(program), add_inspect(program),
                        add_plan(program), add_bench(program)};
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return program.exit(problem) == 0 ? exit_ok : exit_usage;
  }
  for (const verb& candidate : verbs) {
    if (candidate.command->parsed()) return run_verb(candidate);
  }
  return exit_usage;
}

}  // namespace warpbag::cli
