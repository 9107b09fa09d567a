// SPDX-License-Identifier: Apache-2.0
// When an injected failure happens: at the k-th event, once or from then on.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace cudasim {

struct Trigger {
  uint64_t at = 0;  // 0: never
  bool persistent = false;
  bool hits(uint64_t event) const { return at != 0 && (persistent ? event >= at : event == at); }
};

// "5" is the fifth event, "5+" the fifth and every later one; false: neither.
inline bool parse_trigger(const std::string& text, Trigger& out) {
  char* end = nullptr;
  out.at = std::strtoull(text.c_str(), &end, 10);
  out.persistent = *end == '+';
  return out.at > 0 && end[out.persistent ? 1 : 0] == '\0';
}

// The fields of a setting like "1:5+:6".
inline std::vector<std::string> split_fields(const std::string& text) {
  std::vector<std::string> fields(1);
  for (char c : text) {
    if (c == ':')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

}  // namespace cudasim
