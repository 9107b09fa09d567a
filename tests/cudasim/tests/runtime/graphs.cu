// SPDX-License-Identifier: Apache-2.0
// Stream capture, explicit graphs, updates, and the calls capture forbids.
#include "check.h"

__global__ void add(int* p, int v) { p[threadIdx.x] += v; }
__global__ void mul(int* p, int v) { p[threadIdx.x] *= v; }

static int read(int* d) {
  int h = -1;
  OK(cudaMemcpy(&h, d, 4, cudaMemcpyDeviceToHost));
  return h;
}

__global__ void scale_into(const int* in, const int* factor, int bias, int* out) {
  out[threadIdx.x] += in[threadIdx.x] * *factor + bias;
}

// A captured step: parameters are those of the capture, memory is that of each launch.
static void replays(cudaStream_t s) {
  int *staged, *in, *factor, *out, bias = 5, got[32];
  OK(cudaMallocHost(&staged, 33 * sizeof(int)));
  OK(cudaMalloc(&in, 33 * sizeof(int)));
  OK(cudaMalloc(&out, 32 * sizeof(int)));
  factor = in + 32;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
  OK(cudaMemcpyAsync(in, staged, 33 * sizeof(int), cudaMemcpyHostToDevice, s));
  OK(cudaMemsetAsync(out, 0, 32 * sizeof(int), s));
  scale_into<<<1, 32, 0, s>>>(in, factor, bias, out);
  OK(cudaMemcpyAsync(got, out, sizeof got, cudaMemcpyDeviceToHost, s));
  OK(cudaStreamEndCapture(s, &graph));
  bias = 1000;  // too late
  OK(cudaGraphInstantiate(&exec, graph, 0));
  OK(cudaGraphDestroy(graph));
  for (int step = 1; step <= 3; ++step) {
    for (int i = 0; i < 32; ++i) staged[i] = i + step;
    staged[32] = 10 * step;
    OK(cudaGraphLaunch(exec, s));
    OK(cudaStreamSynchronize(s));
    for (int i = 0; i < 32; ++i) CHECK(got[i] == (i + step) * 10 * step + 5);
  }
  OK(cudaGraphExecDestroy(exec));

  // A change that is refused leaves the node as it was.
  cudaGraphNode_t fill;
  cudaMemsetParams good{};
  good.dst = out;
  good.value = 3;
  good.elementSize = 4;
  good.width = 32;
  good.height = 1;
  OK(cudaGraphCreate(&graph, 0));
  OK(cudaGraphAddMemsetNode(&fill, graph, nullptr, 0, &good));
  OK(cudaGraphInstantiate(&exec, graph, 0));
  cudaMemsetParams bad = good;
  bad.width = 1000;
  GIVES(cudaGraphExecMemsetNodeSetParams(exec, fill, &bad), cudaErrorInvalidValue);
  OK(cudaGraphLaunch(exec, s));
  OK(cudaMemcpyAsync(got, out, sizeof got, cudaMemcpyDeviceToHost, s));
  OK(cudaStreamSynchronize(s));
  CHECK(got[0] == 3 && got[31] == 3);
  OK(cudaGraphExecDestroy(exec));
  OK(cudaGraphDestroy(graph));
  OK(cudaFree(in));
  OK(cudaFree(out));
  OK(cudaFreeHost(staged));
}

int main() {
  int* d;
  OK(cudaMalloc(&d, 128));
  cudaStream_t a, b;
  OK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  cudaEvent_t fork, join;
  OK(cudaEventCreate(&fork));
  OK(cudaEventCreate(&join));

  // capture with a fork and a join; nothing runs while capturing
  OK(cudaMemset(d, 0, 128));
  OK(cudaDeviceSynchronize());
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  cudaStreamCaptureStatus status;
  OK(cudaStreamIsCapturing(a, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  add<<<1, 32, 0, a>>>(d, 3);
  OK(cudaEventRecord(fork, a));
  OK(cudaStreamWaitEvent(b, fork, 0));
  OK(cudaStreamIsCapturing(b, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  mul<<<1, 32, 0, b>>>(d, 5);
  OK(cudaEventRecord(join, b));
  OK(cudaStreamWaitEvent(a, join, 0));
  add<<<1, 32, 0, a>>>(d, 1);
  unsigned long long id = 0;
  cudaGraph_t seen;
  size_t depends = 0;
  OK(cudaStreamGetCaptureInfo(a, &status, &id, &seen, nullptr, nullptr, &depends));
  CHECK(id != 0 && depends == 1);
  cudaGraph_t graph;
  OK(cudaStreamEndCapture(a, &graph));
  OK(cudaStreamIsCapturing(b, &status));
  CHECK(status == cudaStreamCaptureStatusNone);
  CHECK(read(d) == 0);
  size_t nodes = 0;
  OK(cudaGraphGetNodes(graph, nullptr, &nodes));
  CHECK(nodes == 3);
  cudaGraphExec_t exec;
  OK(cudaGraphInstantiate(&exec, graph, 0));
  OK(cudaGraphUpload(exec, a));
  for (int i = 0; i < 3; ++i) OK(cudaGraphLaunch(exec, a));
  OK(cudaStreamSynchronize(a));
  CHECK(read(d) == 496);  // ((0+3)*5+1 = 16; 96; 496

  // update one kernel's parameters in the executable
  cudaGraphNode_t list[3];
  nodes = 3;
  OK(cudaGraphGetNodes(graph, list, &nodes));
  cudaKernelNodeParams params;
  OK(cudaGraphKernelNodeGetParams(list[0], &params));
  int value = 100;
  void* args[] = {&d, &value};
  params.kernelParams = args;
  OK(cudaGraphExecKernelNodeSetParams(exec, list[0], &params));
  OK(cudaMemset(d, 0, 128));
  OK(cudaDeviceSynchronize());
  OK(cudaGraphLaunch(exec, a));
  OK(cudaStreamSynchronize(a));
  CHECK(read(d) == 501);
  OK(cudaGraphExecDestroy(exec));
  OK(cudaGraphDestroy(graph));

  replays(a);

  // explicit graph: memset -> kernel -> copy to host, plus a host node
  int host = 0, calls = 0;
  cudaGraph_t g;
  OK(cudaGraphCreate(&g, 0));
  cudaGraphNode_t fill, kernel, copy, call;
  cudaMemsetParams mp{};
  mp.dst = d;
  mp.value = 7;
  mp.elementSize = 4;
  mp.width = 32;
  mp.height = 1;
  OK(cudaGraphAddMemsetNode(&fill, g, nullptr, 0, &mp));
  cudaKernelNodeParams kp{};
  int two = 2;
  void* kargs[] = {&d, &two};
  kp.func = reinterpret_cast<void*>(add);
  kp.gridDim = 1;
  kp.blockDim = 32;
  kp.kernelParams = kargs;
  OK(cudaGraphAddKernelNode(&kernel, g, &fill, 1, &kp));
  OK(cudaGraphAddMemcpyNode1D(&copy, g, &kernel, 1, &host, d, 4, cudaMemcpyDeviceToHost));
  cudaHostNodeParams hp{[](void* p) { ++*static_cast<int*>(p); }, &calls};
  OK(cudaGraphAddHostNode(&call, g, &copy, 1, &hp));
  OK(cudaGraphInstantiate(&exec, g, 0));
  OK(cudaGraphLaunch(exec, a));
  OK(cudaGraphLaunch(exec, a));
  CHECK(calls <= 2);
  OK(cudaStreamSynchronize(a));
  CHECK(host == 9 && calls == 2);
  // a child graph inside a captured one
  OK(cudaStreamBeginCapture(b, cudaStreamCaptureModeThreadLocal));
  OK(cudaGraphLaunch(exec, b));
  OK(cudaStreamEndCapture(b, &graph));
  cudaGraphExec_t outer;
  OK(cudaGraphInstantiate(&outer, graph, 0));
  OK(cudaGraphLaunch(outer, b));
  OK(cudaStreamSynchronize(b));
  CHECK(calls == 3);

  // stream-ordered memory inside a graph, launched twice
  int* scratch;
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  OK(cudaMallocAsync(&scratch, 128, a));
  OK(cudaMemsetAsync(scratch, 0, 128, a));
  add<<<1, 32, 0, a>>>(scratch, 30);
  OK(cudaMemcpyAsync(d, scratch, 128, cudaMemcpyDeviceToDevice, a));
  OK(cudaFreeAsync(scratch, a));
  OK(cudaStreamEndCapture(a, &graph));
  OK(cudaGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < 2; ++i) {
    OK(cudaMemset(d, 0, 128));
    OK(cudaDeviceSynchronize());
    OK(cudaGraphLaunch(exec, a));
    OK(cudaStreamSynchronize(a));
    CHECK(read(d) == 30);
  }

  // cudaGraphAddNode, clones
  cudaGraph_t h, h2;
  OK(cudaGraphCreate(&h, 0));
  cudaGraphNode_t first, second, twin;
  cudaGraphNodeParams np{};
  np.type = cudaGraphNodeTypeMemset;
  np.memset.dst = d;
  np.memset.elementSize = 4;
  np.memset.value = 6;
  np.memset.width = 32;
  np.memset.height = 1;
  OK(cudaGraphAddNode(&first, h, nullptr, nullptr, 0, &np));
  cudaGraphNodeParams kn{};
  kn.type = cudaGraphNodeTypeKernel;
  kn.kernel.func = reinterpret_cast<void*>(mul);
  kn.kernel.gridDim = 1;
  kn.kernel.blockDim = 32;
  kn.kernel.kernelParams = kargs;  // times two
  OK(cudaGraphAddNode(&second, h, nullptr, nullptr, 0, &kn));
  OK(cudaGraphAddDependencies(h, &first, &second, nullptr, 1));
  OK(cudaGraphClone(&h2, h));
  OK(cudaGraphNodeFindInClone(&twin, second, h2));
  OK(cudaGraphInstantiate(&exec, h2, 0));
  OK(cudaGraphLaunch(exec, a));
  OK(cudaStreamSynchronize(a));
  CHECK(read(d) == 12);
  OK(cudaGraphAddDependencies(h, &second, &first, nullptr, 1));  // a cycle
  cudaGraphExec_t none;
  GIVES(cudaGraphInstantiate(&none, h, 0), cudaErrorInvalidValue);

  // an executable takes over another graph of the same shape
  cudaGraphExecUpdateResultInfo result;
  kn.kernel.func = reinterpret_cast<void*>(add);
  OK(cudaGraphNodeSetParams(twin, &kn));
  OK(cudaGraphExecUpdate(exec, h2, &result));
  CHECK(result.result == cudaGraphExecUpdateSuccess);
  OK(cudaGraphLaunch(exec, a));
  OK(cudaStreamSynchronize(a));
  CHECK(read(d) == 8);
  GIVES(cudaGraphExecUpdate(exec, g, &result), cudaErrorGraphExecUpdateFailure);

  // what capture forbids
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  GIVES(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
  GIVES(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
  CHECK(graph == nullptr);
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  void* p;
  GIVES(cudaMalloc(&p, 16), cudaErrorStreamCaptureUnsupported);
  GIVES(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeRelaxed));
  OK(cudaMalloc(&p, 16));
  OK(cudaStreamEndCapture(a, &graph));
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  OK(cudaEventRecord(fork, a));
  OK(cudaStreamWaitEvent(b, fork, 0));
  add<<<1, 32, 0, b>>>(d, 1);  // never joined
  GIVES(cudaStreamEndCapture(b, &graph), cudaErrorStreamCaptureUnmatched);
  GIVES(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  OK(cudaEventRecord(fork, a));
  OK(cudaStreamWaitEvent(b, fork, 0));
  add<<<1, 32, 0, b>>>(d, 1);
  GIVES(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureUnjoined);
  GIVES(cudaStreamEndCapture(a, &graph), cudaErrorIllegalState);
  GIVES(cudaStreamBeginCapture(cudaStreamLegacy, cudaStreamCaptureModeGlobal),
        cudaErrorStreamCaptureUnsupported);
  cudaStream_t blocking;
  OK(cudaStreamCreate(&blocking));
  OK(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
  GIVES((add<<<1, 32>>>(d, 1), cudaGetLastError()), cudaErrorStreamCaptureImplicit);
  GIVES(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
  return report();
}
