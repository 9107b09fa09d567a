// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace cudasim {

void fill_properties(cudaDeviceProp& p, int index);
int attribute_value(cudaDeviceAttr attribute, const cudaDeviceProp& p);

}  // namespace cudasim
