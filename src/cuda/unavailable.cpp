// SPDX-License-Identifier: Apache-2.0
// What a build without CUDA says when it is asked for a CUDA device.

#include "operations/backend.hpp"
#include "operations/device_access.hpp"
#include "operations/device_memory.hpp"
#include "operations/side_stream.hpp"
#include "operations/tuning.hpp"

namespace warpbag::operations {

namespace {

[[noreturn]] void refuse() {
  throw device_unavailable("this build of warpbag has no CUDA backend (WARPBAG_CUDA)");
}

}  // namespace

std::unique_ptr<backend> make_cuda_backend(const resources&) { refuse(); }
std::unique_ptr<device_access> make_cuda_device_access(const resources&) { refuse(); }
std::unique_ptr<side_stream> make_cuda_side_stream(const resources&) { refuse(); }
memory_resource& cuda_memory_resource(int) { refuse(); }
std::size_t cuda_workspace_bytes(const problem_limits&) { refuse(); }
std::vector<tuning_choice> cuda_tuning() { return {}; }

}  // namespace warpbag::operations
