// SPDX-License-Identifier: Apache-2.0
// Names of threads and instructions for faults and findings.
#include <cxxabi.h>

#include "machine.h"

namespace cudasim {

std::string hex(uint64_t v) {
  char t[32];
  snprintf(t, sizeof t, "0x%llx", static_cast<unsigned long long>(v));
  return t;
}

std::string demangle(const std::string& name) {
  int status = 0;
  char* d = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string s = status == 0 && d ? d : name;
  free(d);
  return s;
}

std::string describe_thread(const Warp& w, int lane) {
  const Grid& g = *w.grid;
  Dim3 b = w.block->id;
  uint32_t t = w.id * 32 + uint32_t(lane < 0 ? 0 : lane);
  const Dim3& n = g.config->block;
  auto triple = [](uint32_t x, uint32_t y, uint32_t z) {
    return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
  };
  std::string s = demangle(g.kernel->info.name) + ", block " + triple(b.x, b.y, b.z) + ", ";
  if (lane < 0)
    s += "warp " + std::to_string(w.id);
  else
    s += "thread " + triple(t % n.x, t / n.x % n.y, t / n.x / n.y);
  if (w.op && w.op->inst) {
    const ir::Inst& in = *w.op->inst;
    std::string text(in.text);
    for (char& c : text)
      if (c == '\n' || c == '\t') c = ' ';
    s += ", PTX line " + std::to_string(in.line) + " `" + text + ";`";
    uint32_t file = in.loc >> 20, line = in.loc & 0xFFFFF;
    if (in.loc && file < g.module->ir->files.size())
      s += ", " + g.module->ir->files[file] + ":" + std::to_string(line);
  }
  return s;
}

void Grid::finding(const Warp& w, int lane, const std::string& kind, const std::string& detail) {
  // one report for each instruction; further ones are only counted
  std::string key = kind + std::to_string(w.op && w.op->inst ? w.op->inst->line : 0);
  int& n = finding_counts[key];
  if (n++ || findings.size() >= 100) return;
  findings.push_back(kind + ": " + detail + " [" + describe_thread(w, lane) + "]");
}

}  // namespace cudasim
