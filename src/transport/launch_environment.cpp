// SPDX-License-Identifier: Apache-2.0
#include "transport/launch_environment.hpp"

#include <charconv>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "warpbag/error.hpp"

namespace warpbag::ranks {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    throw invalid_argument(std::string("environment variable ") + name +
                           " is not set: it is read as torchrun sets it");
  }
  return value;
}

int number(const char* name, int smallest, int largest) {
  const std::string text = variable(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < smallest ||
      value > largest) {
    throw invalid_argument(std::string("environment variable ") + name + "='" + text +
                           "': not a number from " + std::to_string(smallest) + " to " +
                           std::to_string(largest));
  }
  return value;
}

}  // namespace

launch_environment read_launch_environment() {
  constexpr int largest_port = 65535;
  launch_environment out;
  out.size = number("WORLD_SIZE", 1, std::numeric_limits<int>::max());
  out.rank = number("RANK", 0, out.size - 1);
  out.host = variable("MASTER_ADDR");
  const char* store = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  const bool taken = store != nullptr && std::string_view(store) == "True";
  out.port = number("MASTER_PORT", 1, taken ? largest_port - 1 : largest_port) + (taken ? 1 : 0);
  return out;
}

}  // namespace warpbag::ranks
