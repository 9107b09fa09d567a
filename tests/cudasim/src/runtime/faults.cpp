// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>

#include "cudasim.h"
#include "runtime.h"
#include "trigger.h"

namespace cudasim::faults {
namespace {

// A number or a name such as cudaErrorLaunchFailure.
std::optional<cudaError_t> parse_error(const std::string& text) {
  char* end = nullptr;
  long code = std::strtol(text.c_str(), &end, 10);
  if (*end == '\0' && code > 0) return static_cast<cudaError_t>(code);
  for (int i = 1; i <= cudaErrorUnknown; ++i)
    if (text == cudaGetErrorName(static_cast<cudaError_t>(i))) return static_cast<cudaError_t>(i);
  return std::nullopt;
}

// Counts one kind of event and knows which of them fails.
class Injector {
 public:
  Injector(const char* setting, cudaError_t error) : error_(error) {
    const char* text = std::getenv(setting);
    if (!text || !*text) return;
    auto fields = split_fields(text);
    bool good = fields.size() <= 2 && parse_trigger(fields[0], trigger_);
    if (good && fields.size() == 2) {
      auto parsed = parse_error(fields[1]);
      good = parsed.has_value();
      if (good) error_ = *parsed;
    }
    if (!good) bad_setting(setting, text);
  }

  cudaError_t next(const char* what) {
    std::lock_guard lock(mutex_);
    if (!trigger_.hits(++count_)) return cudaSuccess;
    std::fprintf(stderr, "[cudasim] injected: %s #%llu fails with %s\n", what,
                 static_cast<unsigned long long>(count_), cudaGetErrorName(error_));
    return error_;
  }

  void arm(uint64_t from_now, cudaError_t error, bool persistent) {
    std::lock_guard lock(mutex_);
    trigger_ = {from_now ? count_ + from_now : 0, persistent};
    error_ = error;
  }

  uint64_t count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  uint64_t count_ = 0;
  Trigger trigger_;
  cudaError_t error_;
};

// Never destroyed: calls may come from exit handlers.
Injector& calls() {
  static auto* i = new Injector("CUDASIM_FAIL_CALL", cudaErrorUnknown);
  return *i;
}
Injector& allocations() {
  static auto* i = new Injector("CUDASIM_FAIL_ALLOC", cudaErrorMemoryAllocation);
  return *i;
}

}  // namespace

cudaError_t count_call(const char* name) { return calls().next(name); }
cudaError_t count_allocation() { return allocations().next("allocation"); }

}  // namespace cudasim::faults

using namespace cudasim::faults;

extern "C" {

unsigned long long cudasim_call_count(void) { return calls().count(); }
unsigned long long cudasim_allocation_count(void) { return allocations().count(); }

void cudasim_fail_call(unsigned long long k, int error, int persistent) {
  calls().arm(k, static_cast<cudaError_t>(error), persistent != 0);
}
void cudasim_fail_allocation(unsigned long long k, int persistent) {
  allocations().arm(k, cudaErrorMemoryAllocation, persistent != 0);
}

}  // extern "C"
