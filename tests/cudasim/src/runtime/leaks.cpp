// SPDX-License-Identifier: Apache-2.0
// What the program made and has not released: CUDASIM_LEAKS=1, cudasim_live_objects.
#include <cstdio>
#include <cstring>

#include "cudasim.h"
#include "runtime.h"

namespace cudasim {
namespace {

// One line for each live object; call with the runtime's lock held.
std::vector<std::string> live_objects() {
  std::vector<std::string> lines = memory::live();
  auto add = [&](const char* kind, const void* handle, const std::string& more) {
    char text[200];
    std::snprintf(text, sizeof text, "%s %p%s", kind, handle, more.c_str());
    lines.push_back(text);
  };
  auto on = [](int device) { return " of device " + std::to_string(device); };
  Runtime& r = runtime();
  for (Stream* s : r.streams)
    if (!s->per_thread) add("stream", s, on(s->device));
  for (Event* e : r.events) add("event", e, on(e->device));
  auto nodes = [](const Graph& g) { return ", " + std::to_string(g.nodes.size()) + " nodes"; };
  for (Graph* g : r.graphs) add("graph", g, nodes(*g));
  for (Executable* e : r.executables) add("executable graph", e, nodes(*e->graph));
  return lines;
}

}  // namespace

void report_leaks() {
  Lock lock = lock_at_exit();
  if (!lock.owns_lock()) return complain("no leak report: some thread is still inside a call");
  auto lines = live_objects();
  for (auto& line : lines) complain("leak: %s", line.c_str());
  std::fprintf(stderr, "[cudasim] %zu leaked objects\n", lines.size());
}

}  // namespace cudasim

extern "C" unsigned long long cudasim_live_objects(char* report, size_t size) {
  using namespace cudasim;
  Lock lock(runtime().mutex);
  auto lines = live_objects();
  std::string text;
  for (auto& line : lines) text += line + "\n";
  if (report && size) std::snprintf(report, size, "%s", text.c_str());
  return lines.size();
}
