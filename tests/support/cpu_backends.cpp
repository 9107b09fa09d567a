// SPDX-License-Identifier: Apache-2.0
#include "support/test_device.hpp"

namespace warpbag::support {

std::vector<backend_choice> backends_under_test() {
  return {cpu_backend(1), cpu_backend(2), cpu_backend(3)};
}

}  // namespace warpbag::support
