// SPDX-License-Identifier: Apache-2.0
// Tiny self-check helpers: a test exits 0 only if every CHECK held.
#pragma once
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

inline int check_failures = 0;
inline int check_count = 0;

#define CHECK(condition)                                                        \
  do {                                                                          \
    ++check_count;                                                              \
    if (!(condition)) {                                                         \
      ++check_failures;                                                         \
      std::printf("%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
    }                                                                           \
  } while (0)

// One call's result against what it should be; `name` turns a result into text.
#define CHECK_RESULT(call, expected, name)                                                    \
  do {                                                                                        \
    auto check_result = (call);                                                               \
    ++check_count;                                                                            \
    if (check_result != (expected)) {                                                         \
      ++check_failures;                                                                       \
      std::printf("%s:%d: %s -> %s, not %s\n", __FILE__, __LINE__, #call, name(check_result), \
                  name(expected));                                                            \
    }                                                                                         \
  } while (0)

#define OK(call) CHECK_RESULT(call, cudaSuccess, cudaGetErrorName)
// An error that the test asked for: it does not count as the last error afterwards.
#define GIVES(call, expected)                       \
  do {                                              \
    CHECK_RESULT(call, expected, cudaGetErrorName); \
    (void)cudaGetLastError();                       \
  } while (0)
#define NOK(call) CHECK_RESULT(call, ncclSuccess, ncclGetErrorString)

inline int report() {
  std::printf("%d checks, %d failed\n", check_count, check_failures);
  return check_failures == 0 && check_count > 0 ? 0 : 1;
}
