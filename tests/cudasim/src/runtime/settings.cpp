// SPDX-License-Identifier: Apache-2.0
// The CUDASIM_* environment variables, read once.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime.h"

namespace cudasim {
namespace {

uint64_t parse_bytes(const char* text, uint64_t fallback) {
  if (!text || !*text) return fallback;
  char* end = nullptr;
  double value = std::strtod(text, &end);
  switch (*end) {
    case 'k':
    case 'K': value *= 1ull << 10; break;
    case 'm':
    case 'M': value *= 1ull << 20; break;
    case 'g':
    case 'G': value *= 1ull << 30; break;
    default: break;
  }
  return value >= 4096 ? static_cast<uint64_t>(value) : fallback;
}

bool flag(const char* name, bool fallback) {
  const char* v = std::getenv(name);
  return v && *v ? std::strcmp(v, "0") != 0 : fallback;
}

Settings read_settings() {
  Settings s;
  auto get = [](const char* name) {
    const char* v = std::getenv(name);
    return v && *v ? v : nullptr;
  };
  if (auto v = get("CUDASIM_DEVICES")) {
    s.devices = std::atoi(v);
    if (s.devices < 0 || s.devices > kMaxDevices) bad_setting("CUDASIM_DEVICES", v);
  }
  s.memory = parse_bytes(get("CUDASIM_MEMORY"), s.memory);
  if (auto v = get("CUDASIM_SCHEDULE")) {
    std::string text = v;
    if (text.starts_with("random")) {
      s.core.schedule = Schedule::kRandom;
      if (text.size() > 7 && text[6] == ':')
        s.core.seed = std::strtoull(v + 7, nullptr, 10);
      else if (text.size() > 6)
        bad_setting("CUDASIM_SCHEDULE", v);
    } else if (text != "ordered") {
      bad_setting("CUDASIM_SCHEDULE", v);
    }
  }
  s.core.memcheck = flag("CUDASIM_MEMCHECK", true);
  s.core.initcheck = flag("CUDASIM_INITCHECK", false);
  s.core.racecheck = flag("CUDASIM_RACECHECK", false);
  if (auto v = get("CUDASIM_MAX_INSTRUCTIONS"))
    s.core.max_warp_instructions = std::strtoull(v, nullptr, 10);
  if (auto v = get("CUDASIM_STREAMS")) {
    s.lazy = std::strcmp(v, "eager") != 0;
    if (s.lazy && std::strcmp(v, "lazy") != 0) bad_setting("CUDASIM_STREAMS", v);
  }
  s.log = flag("CUDASIM_LOG", false);
  s.fatal = flag("CUDASIM_FATAL", false);
  s.leaks = flag("CUDASIM_LEAKS", false);
  s.strict = flag("CUDASIM_STRICT", false);
  s.forbid_default_stream = flag("CUDASIM_FORBID_DEFAULT_STREAM", false);
  if (auto v = get("CUDASIM_POISON"))
    s.poison =
        std::strcmp(v, "off") == 0 ? -1 : static_cast<int>(std::strtol(v, nullptr, 0)) & 0xFF;
  if (auto v = get("CUDASIM_IDLE_MS")) s.idle_ms = std::atoi(v);
  if (auto v = get("CUDASIM_PROFILE")) {
    s.profile = v;
    s.core.profile = true;
  }
  return s;
}

}  // namespace

void bad_setting(const char* name, const char* value) {
  std::fprintf(stderr, "[cudasim] %s=%s is not a value this setting takes\n", name, value);
  std::exit(2);
}

const Settings& settings() {
  static const Settings* s = new Settings(read_settings());
  return *s;
}

}  // namespace cudasim
