// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cli/app.hpp"
#include "model/model_device.hpp"

namespace warpbag::cli {

struct device_options {
  std::string name;  ///< cpu, cuda or cuda:N; empty: cpu
  int threads = 0;   ///< of the CPU; 0: all that the process may use
};

void add_device_options(CLI::App& command, device_options& options);

/// Throws invalid_argument for a name that is none.
device parse_device(const device_options& options);
/// Throws device_unavailable, and as parse_device.
std::unique_ptr<model::model_device> make_device(const device_options& options);

}  // namespace warpbag::cli
