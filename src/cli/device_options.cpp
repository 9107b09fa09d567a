// SPDX-License-Identifier: Apache-2.0
#include "cli/device_options.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <string_view>

#include "warpbag/error.hpp"

namespace warpbag::cli {

device parse_device(const device_options& options) {
  const std::string_view name = options.name;
  if (name.empty() || name == "cpu") return {device_kind::cpu, 0};
  if (name == "cuda") return {device_kind::cuda, 0};
  constexpr std::string_view prefix = "cuda:";
  int ordinal = -1;
  if (name.substr(0, prefix.size()) == prefix) {
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, ordinal);
    if (parsed.ec == std::errc() && parsed.ptr == end && ordinal >= 0) {
      return {device_kind::cuda, ordinal};
    }
  }
  throw invalid_argument("--device must be cpu, cuda or cuda:N, not '" + std::string(name) + "'");
}

void add_device_options(CLI::App& command, device_options& options) {
  command.add_option("--device", options.name, "cpu, cuda or cuda:N; the results are the same")
      ->default_str("cpu")
      ->group("Device");
  command
      .add_option("--threads", options.threads,
                  "CPU threads; 0: all there are. The results are the same")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Device");
}

std::unique_ptr<model::model_device> make_device(const device_options& options) {
  return model::make_model_device(parse_device(options), options.threads);
}

}  // namespace warpbag::cli
