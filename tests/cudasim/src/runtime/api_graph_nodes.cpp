// SPDX-License-Identifier: Apache-2.0
// Over 400 lines: CUDA has that many entry points for graph nodes, each a few lines.
// Graph nodes: adding them, reading and changing their parameters.
#include <algorithm>
#include <cstring>

#include "graph.h"

using namespace cudasim;

namespace {

cudaError_t add_node(const char* name, cudaGraphNode_t* out, cudaGraph_t graph,
                     const cudaGraphNode_t* after, size_t count,
                     const std::function<cudaError_t(Work&)>& describe) {
  return api_device(name, [&](Lock&, Device& d) -> cudaError_t {
    if (!out || !graph || (count && !after)) return cudaErrorInvalidValue;
    auto node = std::make_unique<Node>();
    node->graph = graph_of(graph);
    node->device = d.index;
    if (cudaError_t error = describe(node->work); error != cudaSuccess) return error;
    for (size_t i = 0; i < count; ++i) node->after.push_back(node_of(after[i]));
    *out = reinterpret_cast<cudaGraphNode_t>(node.get());
    graph_of(graph)->nodes.push_back(std::move(node));
    return cudaSuccess;
  });
}

// Changes a node of a graph, or its copy inside an executable.
cudaError_t change(const char* name, Executable* exec, cudaGraphNode_t node, cudaGraphNodeType type,
                   const std::function<cudaError_t(Work&)>& describe) {
  return api_device(name, [&](Lock&, Device&) -> cudaError_t {
    Node* n = node_of(node);
    if (!n) return cudaErrorInvalidValue;
    if (exec) {
      auto it = exec->copies.find(n);
      if (it == exec->copies.end()) return cudaErrorInvalidValue;
      n = it->second;
    }
    if (n->work.type != type) return cudaErrorInvalidValue;
    Work changed = n->work;
    cudaError_t error = describe(changed);
    if (error == cudaSuccess) n->work = std::move(changed);  // a refused change changes nothing
    return error;
  });
}

auto kernel_work(const cudaKernelNodeParams* p) {
  return [p](Work& w) -> cudaError_t {
    if (!p || p->extra) return cudaErrorInvalidValue;
    w.type = cudaGraphNodeTypeKernel;
    return prepare_kernel(p->func, p->gridDim, p->blockDim, p->kernelParams, p->sharedMemBytes,
                          nullptr, 0, self().device, w.kernel);
  };
}

auto copy_work(uint64_t dst, uint64_t src, size_t n, cudaMemcpyKind kind) {
  return [=](Work& w) -> cudaError_t {
    auto c = std::make_shared<Copy>();
    c->dst = dst;
    c->src = src;
    c->width = c->dst_pitch = c->src_pitch = c->dst_slice = c->src_slice = n;
    c->kind = kind;
    w.type = cudaGraphNodeTypeMemcpy;
    w.copy = c;
    return check_copy(*c);
  };
}

auto copy_work_3d(const cudaMemcpy3DParms* p) {
  return [=](Work& w) -> cudaError_t {
    if (!p) return cudaErrorInvalidValue;
    if (p->srcArray || p->dstArray) return cudaErrorNotSupported;
    auto c = std::make_shared<Copy>();
    c->width = p->extent.width;
    c->height = p->extent.height;
    c->depth = p->extent.depth;
    c->dst_pitch = p->dstPtr.pitch;
    c->src_pitch = p->srcPtr.pitch;
    c->dst_slice = p->dstPtr.pitch * p->dstPtr.ysize;
    c->src_slice = p->srcPtr.pitch * p->srcPtr.ysize;
    c->dst = reinterpret_cast<uint64_t>(p->dstPtr.ptr) + p->dstPos.x + p->dstPos.y * c->dst_pitch +
             p->dstPos.z * c->dst_slice;
    c->src = reinterpret_cast<uint64_t>(p->srcPtr.ptr) + p->srcPos.x + p->srcPos.y * c->src_pitch +
             p->srcPos.z * c->src_slice;
    c->kind = p->kind;
    w.type = cudaGraphNodeTypeMemcpy;
    w.copy = c;
    return check_copy(*c);
  };
}

auto fill_work(const cudaMemsetParams* p) {
  return [=](Work& w) -> cudaError_t {
    if (!p || (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4))
      return cudaErrorInvalidValue;
    auto f = std::make_shared<Fill>();
    f->dst = reinterpret_cast<uint64_t>(p->dst);
    f->width = p->width * p->elementSize;
    f->height = p->height;
    f->pitch = p->pitch;
    f->value = p->value;
    f->element = p->elementSize;
    w.type = cudaGraphNodeTypeMemset;
    w.fill = f;
    return check_fill(*f);
  };
}

auto host_work(const cudaHostNodeParams* p) {
  return [=](Work& w) -> cudaError_t {
    if (!p || !p->fn) return cudaErrorInvalidValue;
    w.type = cudaGraphNodeTypeHost;
    w.host = *p;
    return cudaSuccess;
  };
}

auto event_work(cudaGraphNodeType type, cudaEvent_t event) {
  return [=](Work& w) -> cudaError_t {
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    w.type = type;
    w.event = e;
    return cudaSuccess;
  };
}

auto child_work(cudaGraph_t child) {
  return [=](Work& w) -> cudaError_t {
    if (!child) return cudaErrorInvalidValue;
    std::unordered_map<const Node*, Node*> map;
    w.type = cudaGraphNodeTypeGraph;
    w.child = clone(*graph_of(child), map);
    return cudaSuccess;
  };
}

cudaError_t symbol(const void* sym, size_t offset, size_t n, uint64_t& at) {
  uint64_t size = 0;
  cudaError_t error = registry::variable_address(sym, self().device, at, size);
  if (error != cudaSuccess) return error;
  at += offset;
  return n + offset <= size ? cudaSuccess : cudaErrorInvalidValue;
}

// One call for every node type (and its SetParams forms).
cudaError_t describe_node(const cudaGraphNodeParams* p, Work& w) {
  if (!p) return cudaErrorInvalidValue;
  switch (p->type) {
    case cudaGraphNodeTypeKernel: {
      cudaKernelNodeParams k{};
      k.func = p->kernel.func;
      k.gridDim = p->kernel.gridDim;
      k.blockDim = p->kernel.blockDim;
      k.sharedMemBytes = p->kernel.sharedMemBytes;
      k.kernelParams = p->kernel.kernelParams;
      k.extra = p->kernel.extra;
      return kernel_work(&k)(w);
    }
    case cudaGraphNodeTypeMemcpy: return copy_work_3d(&p->memcpy.copyParams)(w);
    case cudaGraphNodeTypeMemset: {
      cudaMemsetParams m{p->memset.dst,         p->memset.pitch, p->memset.value,
                         p->memset.elementSize, p->memset.width, p->memset.height};
      return fill_work(&m)(w);
    }
    case cudaGraphNodeTypeHost: {
      cudaHostNodeParams h{p->host.fn, p->host.userData};
      return host_work(&h)(w);
    }
    case cudaGraphNodeTypeGraph: return child_work(p->graph.graph)(w);
    case cudaGraphNodeTypeEmpty: w.type = cudaGraphNodeTypeEmpty; return cudaSuccess;
    case cudaGraphNodeTypeEventRecord: return event_work(p->type, p->eventRecord.event)(w);
    case cudaGraphNodeTypeWaitEvent: return event_work(p->type, p->eventWait.event)(w);
    default: return cudaErrorNotSupported;
  }
}

}  // namespace

extern "C" {

cudaError_t cudaGraphAddEmptyNode(cudaGraphNode_t* out, cudaGraph_t g, const cudaGraphNode_t* after,
                                  size_t n) {
  return add_node(__func__, out, g, after, n, [](Work& w) {
    w.type = cudaGraphNodeTypeEmpty;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* out, cudaGraph_t g,
                                   const cudaGraphNode_t* after, size_t n,
                                   const cudaKernelNodeParams* p) {
  return add_node(__func__, out, g, after, n, kernel_work(p));
}
cudaError_t cudaGraphAddMemcpyNode(cudaGraphNode_t* out, cudaGraph_t g,
                                   const cudaGraphNode_t* after, size_t n,
                                   const cudaMemcpy3DParms* p) {
  return add_node(__func__, out, g, after, n, copy_work_3d(p));
}
cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* out, cudaGraph_t g,
                                     const cudaGraphNode_t* after, size_t n, void* dst,
                                     const void* src, size_t count, cudaMemcpyKind kind) {
  return add_node(
      __func__, out, g, after, n,
      copy_work(reinterpret_cast<uint64_t>(dst), reinterpret_cast<uint64_t>(src), count, kind));
}
cudaError_t cudaGraphAddMemcpyNodeToSymbol(cudaGraphNode_t* out, cudaGraph_t g,
                                           const cudaGraphNode_t* after, size_t n, const void* sym,
                                           const void* src, size_t count, size_t offset,
                                           cudaMemcpyKind kind) {
  return add_node(__func__, out, g, after, n, [&](Work& w) -> cudaError_t {
    uint64_t at = 0;
    if (cudaError_t error = symbol(sym, offset, count, at); error != cudaSuccess) return error;
    return copy_work(at, reinterpret_cast<uint64_t>(src), count, kind)(w);
  });
}
cudaError_t cudaGraphAddMemcpyNodeFromSymbol(cudaGraphNode_t* out, cudaGraph_t g,
                                             const cudaGraphNode_t* after, size_t n, void* dst,
                                             const void* sym, size_t count, size_t offset,
                                             cudaMemcpyKind kind) {
  return add_node(__func__, out, g, after, n, [&](Work& w) -> cudaError_t {
    uint64_t at = 0;
    if (cudaError_t error = symbol(sym, offset, count, at); error != cudaSuccess) return error;
    return copy_work(reinterpret_cast<uint64_t>(dst), at, count, kind)(w);
  });
}
cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* out, cudaGraph_t g,
                                   const cudaGraphNode_t* after, size_t n,
                                   const cudaMemsetParams* p) {
  return add_node(__func__, out, g, after, n, fill_work(p));
}
cudaError_t cudaGraphAddHostNode(cudaGraphNode_t* out, cudaGraph_t g, const cudaGraphNode_t* after,
                                 size_t n, const cudaHostNodeParams* p) {
  return add_node(__func__, out, g, after, n, host_work(p));
}
cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* out, cudaGraph_t g,
                                       const cudaGraphNode_t* after, size_t n, cudaGraph_t child) {
  return add_node(__func__, out, g, after, n, child_work(child));
}
cudaError_t cudaGraphAddEventRecordNode(cudaGraphNode_t* out, cudaGraph_t g,
                                        const cudaGraphNode_t* after, size_t n, cudaEvent_t e) {
  return add_node(__func__, out, g, after, n, event_work(cudaGraphNodeTypeEventRecord, e));
}
cudaError_t cudaGraphAddEventWaitNode(cudaGraphNode_t* out, cudaGraph_t g,
                                      const cudaGraphNode_t* after, size_t n, cudaEvent_t e) {
  return add_node(__func__, out, g, after, n, event_work(cudaGraphNodeTypeWaitEvent, e));
}

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeKernel, [&](Work& w) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    KernelCall& c = *w.kernel;
    KernelEntry::Loaded loaded;
    KernelFacts facts;
    if (cudaError_t error = registry::load(*c.entry, self().device, loaded, &facts);
        error != cudaSuccess)
      return error;
    c.pointers.clear();
    for (auto& p : facts.info->params) c.pointers.push_back(c.params.data() + p.offset);
    *out = {};
    out->func = const_cast<void*>(c.entry->host_function ? c.entry->host_function
                                                         : static_cast<const void*>(c.entry));
    out->gridDim = {c.config.grid.x, c.config.grid.y, c.config.grid.z};
    out->blockDim = {c.config.block.x, c.config.block.y, c.config.block.z};
    out->sharedMemBytes = static_cast<unsigned>(c.config.dynamic_shared);
    out->kernelParams = c.pointers.data();
    return cudaSuccess;
  });
}
cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const cudaKernelNodeParams* p) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeKernel, kernel_work(p));
}
cudaError_t cudaGraphKernelNodeSetAttribute(cudaGraphNode_t node, cudaKernelNodeAttrID id,
                                            const cudaKernelNodeAttrValue* value) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeKernel, [&](Work& w) -> cudaError_t {
    if (!value) return cudaErrorInvalidValue;
    auto call = std::make_shared<KernelCall>(*w.kernel);
    if (id == cudaLaunchAttributeCooperative)
      call->config.cooperative = value->cooperative != 0;
    else if (id == cudaLaunchAttributeClusterDimension)
      call->config.cluster = {value->clusterDim.x, value->clusterDim.y, value->clusterDim.z};
    w.kernel = call;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphKernelNodeGetAttribute(cudaGraphNode_t node, cudaKernelNodeAttrID id,
                                            cudaKernelNodeAttrValue* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeKernel, [&](Work& w) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    std::memset(out, 0, sizeof *out);
    auto& c = w.kernel->config;
    if (id == cudaLaunchAttributeCooperative) out->cooperative = c.cooperative;
    if (id == cudaLaunchAttributeClusterDimension) {
      out->clusterDim.x = c.cluster.x;
      out->clusterDim.y = c.cluster.y;
      out->clusterDim.z = c.cluster.z;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaGraphMemcpyNodeSetParams1D(cudaGraphNode_t node, void* dst, const void* src,
                                           size_t n, cudaMemcpyKind kind) {
  return change(
      __func__, nullptr, node, cudaGraphNodeTypeMemcpy,
      copy_work(reinterpret_cast<uint64_t>(dst), reinterpret_cast<uint64_t>(src), n, kind));
}
cudaError_t cudaGraphMemcpyNodeSetParams(cudaGraphNode_t node, const cudaMemcpy3DParms* p) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeMemcpy, copy_work_3d(p));
}
cudaError_t cudaGraphMemsetNodeSetParams(cudaGraphNode_t node, const cudaMemsetParams* p) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeMemset, fill_work(p));
}
cudaError_t cudaGraphMemsetNodeGetParams(cudaGraphNode_t node, cudaMemsetParams* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeMemset, [&](Work& w) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    auto& f = *w.fill;
    *out = {
        reinterpret_cast<void*>(f.dst), f.pitch, f.value, f.element, f.width / f.element, f.height};
    return cudaSuccess;
  });
}
cudaError_t cudaGraphHostNodeGetParams(cudaGraphNode_t node, cudaHostNodeParams* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeHost, [&](Work& w) {
    *out = w.host;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphHostNodeSetParams(cudaGraphNode_t node, const cudaHostNodeParams* p) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeHost, host_work(p));
}
cudaError_t cudaGraphChildGraphNodeGetGraph(cudaGraphNode_t node, cudaGraph_t* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeGraph, [&](Work& w) {
    *out = reinterpret_cast<cudaGraph_t>(w.child.get());
    return cudaSuccess;
  });
}
cudaError_t cudaGraphEventRecordNodeSetEvent(cudaGraphNode_t node, cudaEvent_t e) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeEventRecord,
                event_work(cudaGraphNodeTypeEventRecord, e));
}
cudaError_t cudaGraphEventWaitNodeSetEvent(cudaGraphNode_t node, cudaEvent_t e) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeWaitEvent,
                event_work(cudaGraphNodeTypeWaitEvent, e));
}
cudaError_t cudaGraphEventRecordNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeEventRecord, [&](Work& w) {
    *out = reinterpret_cast<cudaEvent_t>(w.event);
    return cudaSuccess;
  });
}
cudaError_t cudaGraphEventWaitNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeWaitEvent, [&](Work& w) {
    *out = reinterpret_cast<cudaEvent_t>(w.event);
    return cudaSuccess;
  });
}
cudaError_t cudaGraphKernelNodeCopyAttributes(cudaGraphNode_t to, cudaGraphNode_t from) {
  return change(__func__, nullptr, to, cudaGraphNodeTypeKernel, [&](Work& w) -> cudaError_t {
    if (!from || !node_of(from)->work.kernel) return cudaErrorInvalidValue;
    auto call = std::make_shared<KernelCall>(*w.kernel);
    call->config.cooperative = node_of(from)->work.kernel->config.cooperative;
    call->config.cluster = node_of(from)->work.kernel->config.cluster;
    w.kernel = call;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphMemcpyNodeGetParams(cudaGraphNode_t node, cudaMemcpy3DParms* out) {
  return change(__func__, nullptr, node, cudaGraphNodeTypeMemcpy, [&](Work& w) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    const Copy& c = *w.copy;
    std::memset(out, 0, sizeof *out);
    out->srcPtr = {reinterpret_cast<void*>(c.src), c.src_pitch, c.width,
                   c.src_pitch ? c.src_slice / c.src_pitch : 0};
    out->dstPtr = {reinterpret_cast<void*>(c.dst), c.dst_pitch, c.width,
                   c.dst_pitch ? c.dst_slice / c.dst_pitch : 0};
    out->extent = {c.width, c.height, c.depth};
    out->kind = c.kind;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphAddNode(cudaGraphNode_t* out, cudaGraph_t g, const cudaGraphNode_t* after,
                             const cudaGraphEdgeData*, size_t n, cudaGraphNodeParams* p) {
  return add_node(__func__, out, g, after, n, [&](Work& w) { return describe_node(p, w); });
}
cudaError_t cudaGraphNodeSetParams(cudaGraphNode_t node, cudaGraphNodeParams* p) {
  return change(__func__, nullptr, node, p ? p->type : cudaGraphNodeTypeEmpty,
                [&](Work& w) { return describe_node(p, w); });
}
cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                       cudaGraphNodeParams* p) {
  return change(__func__, exec_of(e), node, p ? p->type : cudaGraphNodeTypeEmpty,
                [&](Work& w) { return describe_node(p, w); });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* out) {
  return api(__func__, [&]() -> cudaError_t {
    if (!node || !out) return cudaErrorInvalidValue;
    *out = node_of(node)->work.custom ? cudaGraphNodeTypeKernel : node_of(node)->work.type;
    return cudaSuccess;
  });
}

// ------------------------------------------------ in executable graphs ---

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* p) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeKernel, kernel_work(p));
}
cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                             const cudaMemcpy3DParms* p) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeMemcpy, copy_work_3d(p));
}
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t e, cudaGraphNode_t node, void* dst,
                                               const void* src, size_t n, cudaMemcpyKind kind) {
  return change(
      __func__, exec_of(e), node, cudaGraphNodeTypeMemcpy,
      copy_work(reinterpret_cast<uint64_t>(dst), reinterpret_cast<uint64_t>(src), n, kind));
}
cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                             const cudaMemsetParams* p) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeMemset, fill_work(p));
}
cudaError_t cudaGraphExecHostNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                           const cudaHostNodeParams* p) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeHost, host_work(p));
}
cudaError_t cudaGraphExecChildGraphNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node,
                                                 cudaGraph_t child) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeGraph, child_work(child));
}
cudaError_t cudaGraphExecEventRecordNodeSetEvent(cudaGraphExec_t e, cudaGraphNode_t node,
                                                 cudaEvent_t event) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeEventRecord,
                event_work(cudaGraphNodeTypeEventRecord, event));
}
cudaError_t cudaGraphExecEventWaitNodeSetEvent(cudaGraphExec_t e, cudaGraphNode_t node,
                                               cudaEvent_t event) {
  return change(__func__, exec_of(e), node, cudaGraphNodeTypeWaitEvent,
                event_work(cudaGraphNodeTypeWaitEvent, event));
}

}  // extern "C"
