// SPDX-License-Identifier: Apache-2.0
#include "cpu/backend.hpp"

#include "operations/device_memory.hpp"

namespace warpbag {

namespace cpu {

cpu_backend::cpu_backend(const resources& resources)
    : threads_(resources.num_threads),
      workspace_(
          resources.memory != nullptr ? *resources.memory : operations::cpu_memory_resource(),
          threads_.num_threads()) {
  long_runs_.reserve(
      static_cast<std::size_t>(tuning::long_runs_per_thread * threads_.num_threads()));
}

}  // namespace cpu

namespace operations {

std::size_t cpu_workspace_bytes(const problem_limits& limits) {
  return cpu::workspace::bytes_for(limits, cpu::available_threads());
}

std::unique_ptr<backend> make_cpu_backend(const resources& resources) {
  return std::make_unique<cpu::cpu_backend>(resources);
}

}  // namespace operations

}  // namespace warpbag
