// SPDX-License-Identifier: Apache-2.0
// decode_all FILE.ptx...: lists every instruction that would stop with
// "unsupported" if executed; exit status 1 when there is one.
#include <set>

#include "driver.h"
#include "program.h"

int main(int argc, char** argv) {
  int bad = 0;
  size_t kernels = 0, ops = 0;
  for (int i = 1; i < argc; ++i) {
    Device dev;
    g_dir = "/";
    Loaded m(dev, argv[i]);
    std::set<std::string> seen;
    for (auto& k : m.module->kernels()) {
      const Program& p = program_of(*m.module->kernel(k.name));
      ++kernels;
      ops += p.code.size();
      for (const Op& op : p.code) {
        if (op.kind != Kind::unsupported) continue;
        std::string text(op.inst->text);
        for (char& c : text)
          if (c == '\n' || c == '\t') c = ' ';
        std::string key(op.inst->op);
        for (auto mod : op.inst->mods) key += "." + std::string(mod);
        if (seen.insert(key).second)
          printf("%s:%u: %s: %s\n", argv[i], op.inst->line, text.c_str(),
                 p.notes[size_t(op.imm)].c_str());
        ++bad;
      }
    }
  }
  printf("%zu kernels, %zu instructions, %d unsupported\n", kernels, ops, bad);
  return bad != 0;
}
