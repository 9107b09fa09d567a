// SPDX-License-Identifier: Apache-2.0
#pragma once
// The verbs of the program. Results go to stdout, messages and progress to stderr.

#include <functional>

#include "cli/app.hpp"

namespace warpbag::cli {

struct verb {
  CLI::App* command = nullptr;
  std::function<int()> run;  ///< after a successful parse; returns an exit code
};

verb add_train(CLI::App& program);
verb add_eval(CLI::App& program);
verb add_inspect(CLI::App& program);
verb add_plan(CLI::App& program);
verb add_bench(CLI::App& program);

/// The whole program: parses, runs a verb, turns exceptions into messages and exit codes.
int run_program(int argc, const char* const* argv);

}  // namespace warpbag::cli
