// SPDX-License-Identifier: Apache-2.0
// Element types and reductions of the simulated NCCL.
#pragma once
#include <nccl.h>

#include <cstddef>
#include <cstdint>

namespace cudasim::nccl {

// A reduction as one rank gave it: PreMulSum and Avg scale that rank's input first.
struct Reduction {
  int op = ncclSum;        // ncclSum ... ncclAvg, or ncclNumOps for PreMulSum
  uint8_t scalar[8] = {};  // PreMulSum: the factor, in the data type
};

size_t element_size(ncclDataType_t type);  // 0: not a type
const char* type_name(ncclDataType_t type);
const char* op_name(int op);

// Applies the per-rank scaling of `r` in place (PreMulSum; Avg of floating point types).
void scale_input(void* data, size_t count, ncclDataType_t type, const Reduction& r, int ranks);
// into[i] = into[i] op from[i], rounded to the type at every step.
void combine(void* into, const void* from, size_t count, ncclDataType_t type, const Reduction& r);
// Avg of integer types divides the sum.
void finish_output(void* data, size_t count, ncclDataType_t type, const Reduction& r, int ranks);

}  // namespace cudasim::nccl
