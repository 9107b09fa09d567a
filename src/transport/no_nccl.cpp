// SPDX-License-Identifier: Apache-2.0
// What a build without NCCL says when it is asked for it.

#include "warpbag/transport.hpp"

namespace warpbag {

namespace {

[[noreturn]] void refuse() {
  throw device_unavailable("this build of warpbag has no NCCL transport (WARPBAG_NCCL)");
}

}  // namespace

bool has_nccl() { return false; }
nccl_id make_nccl_id() { refuse(); }
std::unique_ptr<transport> make_nccl_transport(const resources&, int, int, const nccl_id&,
                                               std::chrono::milliseconds) {
  refuse();
}
std::unique_ptr<transport> make_nccl_transport(const resources&, ncclComm*) { refuse(); }
std::unique_ptr<transport> make_nccl_transport(const resources&, transport&,
                                               std::chrono::milliseconds) {
  refuse();
}
std::unique_ptr<transport> make_nccl_transport(const resources&, int, int,
                                               const std::filesystem::path&, const std::string&,
                                               std::chrono::milliseconds) {
  refuse();
}
std::unique_ptr<transport> make_nccl_transport_from_environment(const resources&,
                                                                std::chrono::milliseconds) {
  refuse();
}
std::vector<std::unique_ptr<transport>> make_nccl_transports(std::span<const resources>,
                                                             std::chrono::milliseconds) {
  refuse();
}

}  // namespace warpbag
