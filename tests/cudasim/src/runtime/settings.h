// SPDX-License-Identifier: Apache-2.0
// The CUDASIM_* environment variables.
#pragma once

#include <cstdint>
#include <string>

#include "../core/core.h"

namespace cudasim {

struct Settings {
  int devices = 1;
  uint64_t memory = 8ull << 30;  // bytes per device
  Options core;
  bool lazy = true;                    // CUDASIM_STREAMS
  bool log = false;                    // CUDASIM_LOG
  bool fatal = false;                  // CUDASIM_FATAL
  bool leaks = false;                  // CUDASIM_LEAKS
  bool strict = false;                 // CUDASIM_STRICT
  bool forbid_default_stream = false;  // CUDASIM_FORBID_DEFAULT_STREAM, until a test changes it
  int poison = 0xFF;    // CUDASIM_POISON: byte new device memory holds; -1 = zero pages
  int idle_ms = 2000;   // CUDASIM_IDLE_MS: pending work starts by itself after this; 0 = never
  std::string profile;  // CUDASIM_PROFILE
};
const Settings& settings();
[[noreturn]] void bad_setting(const char* name, const char* value);

}  // namespace cudasim
