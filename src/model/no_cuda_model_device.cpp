// SPDX-License-Identifier: Apache-2.0
#include "model/model_device.hpp"
#include "warpbag/error.hpp"

namespace warpbag::model {

std::unique_ptr<model_device> make_cuda_model_device(int) {
  throw device_unavailable("this build of warpbag has no CUDA backend");
}

}  // namespace warpbag::model
