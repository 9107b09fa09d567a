// SPDX-License-Identifier: Apache-2.0
// launch(): checks the configuration, runs the grid, collects counters and findings.
#include <xmmintrin.h>

#include "interpreter.h"
#include "profiler.h"
#include "races.h"

namespace cudasim {

Grid::Grid() = default;
Grid::~Grid() = default;

namespace {

// Numeric state that the arithmetic relies on, whatever the caller had: round to nearest, no
// flushing, exceptions masked.
struct FloatState {
  FloatState() : saved(_mm_getcsr()) { _mm_setcsr(0x1F80); }
  ~FloatState() { _mm_setcsr(saved); }
  uint32_t saved;
};

// Why the launch cannot start; no message when it can.
Fault check_config(const KernelInfo& kernel, const LaunchConfig& c, size_t param_bytes) {
  uint64_t threads = c.block.count();
  std::string size = "launch of " + std::to_string(threads) + " threads a block";
  if (!c.grid.count() || !threads || threads > 1024) return {kInvalidValue, size};
  if (threads > kernel.max_threads)
    return {kLaunchOutOfResources, size + ", its bound is " + std::to_string(kernel.max_threads)};
  if (!c.cluster.count() || c.grid.x % c.cluster.x || c.grid.y % c.cluster.y ||
      c.grid.z % c.cluster.z)
    return {kInvalidValue, "the grid is no multiple of the cluster"};
  if (param_bytes < kernel.param_bytes) return {kInvalidValue, "parameter buffer too small"};
  return {};
}

uint64_t shared_bytes(const Program& p, const LaunchConfig& c) {
  if (!c.dynamic_shared) return p.static_shared;
  return (p.static_shared + p.dynamic_align - 1) / p.dynamic_align * p.dynamic_align +
         c.dynamic_shared;
}

Counters collect_counters(const Grid& g) {
  Counters c = g.counters;
  c.fp_instructions = g.classes[size_t(Class::fp)];
  c.integer_instructions = g.classes[size_t(Class::integer)];
  c.control_instructions = g.classes[size_t(Class::control)];
  c.memory_instructions = g.classes[size_t(Class::memory)];
  c.convert_instructions = g.classes[size_t(Class::convert)];
  c.sync_instructions = g.classes[size_t(Class::sync)];
  return c;
}

// First the findings in full, then how often those came again.
std::vector<std::string> collect_findings(const Grid& g) {
  std::vector<std::string> out = g.findings;
  for (const auto& [key, n] : g.finding_counts)
    if (n > 1)
      out.push_back(key.substr(0, 9) + ": PTX line " + key.substr(9) + ": " + std::to_string(n) +
                    " reports in all");
  return out;
}

void run(Grid& g, Fault& fault) {
  FloatState state;
  try {
    Machine(g).run_grid();
  } catch (const DeviceFault& f) {
    fault.cuda_error = f.cuda_error;
    fault.message = f.what + " [" +
                    (g.error_context.empty() ? demangle(g.kernel->info.name) : g.error_context) +
                    "]";
  }
}

}  // namespace

LaunchResult launch(const Module& module, const Kernel& kernel, const LaunchConfig& config,
                    const void* params, size_t param_bytes, const AddressSpace& memory,
                    const DeviceModel& model, const Options& options) {
  LaunchResult result;
  auto refuse = [&](int error, const std::string& why) {
    result.fault = {error, demangle(kernel.info.name) + ": " + why};
    return result;
  };
  Fault wrong = check_config(kernel.info, config, param_bytes);
  if (!wrong.message.empty()) return refuse(wrong.cuda_error, wrong.message);
  Grid g;
  g.module = &static_cast<const ModuleImpl&>(module);
  g.kernel = &kernel;
  g.config = &config;
  g.memory = &memory;
  g.model = &model;
  g.options = &options;
  std::vector<uint8_t> buffer;
  uint8_t* aligned_params = aligned_storage(buffer, param_bytes);
  if (param_bytes) memcpy(aligned_params, params, param_bytes);
  g.params = aligned_params;
  g.param_bytes = param_bytes;
  try {
    g.program = &program_of(kernel);
  } catch (const PtxError& e) {
    return refuse(kNotSupported, e.message);
  }
  uint64_t shared = shared_bytes(*g.program, config);
  if (shared > model.max_shared_per_block)
    return refuse(kInvalidValue, std::to_string(shared) + " bytes of shared memory, the limit is " +
                                     std::to_string(model.max_shared_per_block));
  g.shared_bytes = uint32_t(shared);
  g.rng.seed(options.seed);
  if (options.profile) g.profiler = std::make_unique<Profiler>(g, model);
  if (options.racecheck) g.races = std::make_unique<GlobalRaces>(config.grid.count());
  g.observe = g.profiler || g.races;
  run(g, result.fault);
  if (g.profiler) g.profiler->finish();
  result.counters = collect_counters(g);
  result.findings = collect_findings(g);
  return result;
}

}  // namespace cudasim
