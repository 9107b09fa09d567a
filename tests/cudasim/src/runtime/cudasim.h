// SPDX-License-Identifier: Apache-2.0
/* What a test may ask of cudasim besides CUDA: failures on request, counts, leaks.
 *
 * Look the functions up at run time, so that the same program runs on a real GPU:
 *
 *   auto fail = CUDASIM_FIND(cudasim_fail_call);
 *   if (fail) fail(1, cudaErrorUnknown, 0);        // null where there is no simulator
 */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <dlfcn.h>
#include <stddef.h>

#define CUDASIM_FIND(function) ((__typeof__(&function))dlsym(RTLD_DEFAULT, #function))

#ifdef __cplusplus
extern "C" {
#endif

/* Runtime API calls and allocations (device, managed, pinned, stream-ordered) since the start. */
unsigned long long cudasim_call_count(void);
unsigned long long cudasim_allocation_count(void);

/* The k-th call from now (1: the next) does nothing and returns `error`, a cudaError_t;
 * `persistent`: so does every later one. k = 0 ends it. The error is not sticky. Calls that cannot
 * fail are not counted: cudaGetLastError, cudaPeekAtLastError, error names, versions. */
void cudasim_fail_call(unsigned long long k, int error, int persistent);
/* The same for allocations, which fail with cudaErrorMemoryAllocation. */
void cudasim_fail_allocation(unsigned long long k, int persistent);

/* While on, kernels, asynchronous copies, memsets, graphs and collectives on the legacy default
 * stream are reported and fail with cudaErrorInvalidResourceHandle. */
void cudasim_forbid_default_stream(int on);

/* The number of live allocations, streams, events, graphs and executable graphs that the program
 * made; a line for each goes to `report` (may be null), cut off at `size` bytes. */
unsigned long long cudasim_live_objects(char* report, size_t size);

/* Faults and findings reported and not forgiven; injected failures and log lines are none. With
 * CUDASIM_STRICT=1 a process that has any at exit ends with status 86, whatever its own. A test
 * that provokes a fault on purpose forgives the `count` that it expected, and no more. */
unsigned long long cudasim_finding_count(void);
void cudasim_forgive_findings(unsigned long long count);

/* NCCL operations (collectives, sends, receives) that this process issued as rank `rank`. A rank
 * keeps its number in the communicators that are split or shrunk from its first one. */
unsigned long long cudasim_nccl_operation_count(int rank);
/* The k-th operation of that rank from now returns `result`, an ncclResult_t, and is not enqueued.
 */
void cudasim_nccl_fail(int rank, unsigned long long k, int result, int persistent);
/* From its k-th operation from now on the rank stops answering: calls succeed, nothing happens. */
void cudasim_nccl_kill(int rank, unsigned long long k);
/* The k-th operation of that rank from now comes `milliseconds` late to where the ranks meet. */
void cudasim_nccl_delay(int rank, unsigned long long k, int milliseconds, int persistent);

#ifdef __cplusplus
}
#endif
#endif
