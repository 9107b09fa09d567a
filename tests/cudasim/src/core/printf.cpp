// SPDX-License-Identifier: Apache-2.0
// printf of kernels.
#include <cstdio>

#include "memory.h"
#include "number_formats.h"

namespace cudasim {

// Arguments lie in the buffer at their natural alignment: int 4 bytes, everything wider 8.
void vprintf_call(Warp& w, uint64_t format, uint64_t args, int lane) {
  std::string f = read_string(w, format, lane), out;
  uint64_t at = 0;
  auto take = [&](uint32_t bytes) {
    at = (at + bytes - 1) / bytes * bytes;
    uint64_t v = 0;
    memcpy(&v, generic_pointer(w, args + at, bytes, Access::load, lane), bytes);
    at += bytes;
    return v;
  };
  for (size_t i = 0; i < f.size(); ++i) {
    if (f[i] != '%') {
      out.push_back(f[i]);
      continue;
    }
    std::string spec = "%";
    size_t j = i + 1;
    while (j < f.size() && strchr("-+ #0", f[j])) spec.push_back(f[j++]);
    auto number = [&] {
      if (j < f.size() && f[j] == '*') {
        spec += std::to_string(int32_t(take(4)));
        ++j;
      } else
        while (j < f.size() && isdigit(uint8_t(f[j]))) spec.push_back(f[j++]);
    };
    number();
    if (j < f.size() && f[j] == '.') {
      spec.push_back(f[j++]);
      number();
    }
    int longs = 0;
    while (j < f.size() && strchr("hljztL", f[j])) {
      if (f[j] == 'l' || f[j] == 'j' || f[j] == 'z' || f[j] == 't') longs += f[j] == 'l' ? 1 : 2;
      if (f[j] == 'h') spec.push_back('h');
      ++j;
    }
    if (j >= f.size()) {
      out += f.substr(i);
      break;
    }
    char c = f[j];
    char text[512];
    std::string big;
    switch (c) {
      case '%': out.push_back('%'); break;
      case 'c':
        snprintf(text, sizeof text, (spec + "c").c_str(), int(take(4)));
        out += text;
        break;
      case 'd':
      case 'i':
        if (longs)
          snprintf(text, sizeof text, (spec + "lld").c_str(), static_cast<long long>(take(8)));
        else
          snprintf(text, sizeof text, (spec + "d").c_str(), int(take(4)));
        out += text;
        break;
      case 'o':
      case 'u':
      case 'x':
      case 'X':
        if (longs)
          snprintf(text, sizeof text, (spec + "ll" + c).c_str(),
                   static_cast<unsigned long long>(take(8)));
        else
          snprintf(text, sizeof text, (spec + c).c_str(), unsigned(take(4)));
        out += text;
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
      case 'a':
      case 'A': {
        int n = snprintf(text, sizeof text, (spec + c).c_str(), bits_as<double>(take(8)));
        if (n >= int(sizeof text)) n = int(sizeof text) - 1;
        out.append(text, size_t(n));
        break;
      }
      case 'p': {
        snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(take(8)));
        out += text;
        break;
      }
      case 's': {
        uint64_t p = take(8);
        std::string s = p ? read_string(w, p, lane) : "(null)";
        big.resize(s.size() + 512);
        int n = snprintf(big.data(), big.size(), (spec + "s").c_str(), s.c_str());
        out.append(big.data(), std::min(size_t(n), big.size() - 1));
        break;
      }
      default: out += f.substr(i, j - i + 1); break;
    }
    i = j;
  }
  fwrite(out.data(), 1, out.size(), stdout);
  fflush(stdout);
}

}  // namespace cudasim
