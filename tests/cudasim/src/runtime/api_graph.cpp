// SPDX-License-Identifier: Apache-2.0
// Graphs: construction, edges, user objects.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "graph.h"

using namespace cudasim;

std::shared_ptr<Graph> cudasim::clone(const Graph& g, std::unordered_map<const Node*, Node*>& map) {
  auto copy = std::make_shared<Graph>();
  for (auto& n : g.nodes) {
    auto fresh = std::make_unique<Node>(*n);
    fresh->graph = copy.get();
    map[n.get()] = fresh.get();
    copy->nodes.push_back(std::move(fresh));
  }
  for (auto& n : copy->nodes)
    for (auto& dependency : n->after) dependency = map.at(dependency);
  return copy;
}

namespace {

// Fills an array the caller sized, the way the graph queries do.
template <class T>
cudaError_t answer(const std::vector<T>& values, T* out, size_t* count) {
  if (!count) return cudaErrorInvalidValue;
  if (out) {
    for (size_t i = 0; i < *count; ++i) out[i] = i < values.size() ? values[i] : T{};
    *count = std::min(*count, values.size());
  } else {
    *count = values.size();
  }
  return cudaSuccess;
}

struct UserObject {
  void* pointer;
  cudaHostFn_t destroy;
  unsigned references;
};

}  // namespace

extern "C" {

cudaError_t cudaGraphCreate(cudaGraph_t* out, unsigned flags) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || flags) return cudaErrorInvalidValue;
    Lock lock(runtime().mutex);
    auto* graph = new Graph;
    runtime().graphs.insert(graph);
    *out = reinterpret_cast<cudaGraph_t>(graph);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    if (!runtime().graphs.erase(graph_of(graph))) return cudaErrorInvalidValue;
    delete graph_of(graph);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphClone(cudaGraph_t* out, cudaGraph_t graph) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    if (!out || !graph) return cudaErrorInvalidValue;
    std::unordered_map<const Node*, Node*> map;
    auto copy = clone(*graph_of(graph), map);
    auto* raw = new Graph(std::move(*copy));
    for (auto& [from, to] : map) to->origin = from;
    for (auto& n : raw->nodes) n->graph = raw;
    runtime().graphs.insert(raw);
    *out = reinterpret_cast<cudaGraph_t>(raw);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphNodeFindInClone(cudaGraphNode_t* out, cudaGraphNode_t original,
                                     cudaGraph_t copy) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || !copy) return cudaErrorInvalidValue;
    for (auto& n : graph_of(copy)->nodes)
      if (n->origin == node_of(original)) {
        *out = handle(n.get());
        return cudaSuccess;
      }
    return cudaErrorInvalidValue;
  });
}

// ------------------------------------------------------------------ edges ---

cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t* out, size_t* count) {
  return api(__func__, [&]() -> cudaError_t {
    if (!g) return cudaErrorInvalidValue;
    std::vector<cudaGraphNode_t> all;
    for (auto& n : graph_of(g)->nodes) all.push_back(handle(n.get()));
    return answer(all, out, count);
  });
}
cudaError_t cudaGraphGetRootNodes(cudaGraph_t g, cudaGraphNode_t* out, size_t* count) {
  return api(__func__, [&]() -> cudaError_t {
    if (!g) return cudaErrorInvalidValue;
    std::vector<cudaGraphNode_t> roots;
    for (auto& n : graph_of(g)->nodes)
      if (n->after.empty()) roots.push_back(handle(n.get()));
    return answer(roots, out, count);
  });
}
cudaError_t cudaGraphGetEdges(cudaGraph_t g, cudaGraphNode_t* from, cudaGraphNode_t* to,
                              cudaGraphEdgeData* data, size_t* count) {
  return api(__func__, [&]() -> cudaError_t {
    if (!g || !count) return cudaErrorInvalidValue;
    std::vector<cudaGraphNode_t> a, b;
    for (auto& n : graph_of(g)->nodes)
      for (Node* d : n->after) {
        a.push_back(handle(d));
        b.push_back(handle(n.get()));
      }
    size_t room = *count;
    if (data) std::memset(data, 0, sizeof(*data) * std::min(room, a.size()));
    cudaError_t error = answer(a, from, count);
    if (error == cudaSuccess && to) error = answer(b, to, &room);
    return error;
  });
}
cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t* out,
                                         cudaGraphEdgeData*, size_t* count) {
  return api(__func__, [&]() -> cudaError_t {
    if (!node) return cudaErrorInvalidValue;
    std::vector<cudaGraphNode_t> all;
    for (Node* d : node_of(node)->after) all.push_back(handle(d));
    return answer(all, out, count);
  });
}
cudaError_t cudaGraphNodeGetDependentNodes(cudaGraphNode_t node, cudaGraphNode_t* out,
                                           cudaGraphEdgeData*, size_t* count) {
  return api(__func__, [&]() -> cudaError_t {
    if (!node) return cudaErrorInvalidValue;
    std::vector<cudaGraphNode_t> all;
    for (auto& n : node_of(node)->graph->nodes)
      if (std::find(n->after.begin(), n->after.end(), node_of(node)) != n->after.end())
        all.push_back(handle(n.get()));
    return answer(all, out, count);
  });
}
cudaError_t cudaGraphAddDependencies(cudaGraph_t g, const cudaGraphNode_t* from,
                                     const cudaGraphNode_t* to, const cudaGraphEdgeData*,
                                     size_t n) {
  return api(__func__, [&]() -> cudaError_t {
    if (!g || (n && (!from || !to))) return cudaErrorInvalidValue;
    for (size_t i = 0; i < n; ++i) node_of(to[i])->after.push_back(node_of(from[i]));
    return cudaSuccess;
  });
}
cudaError_t cudaGraphRemoveDependencies(cudaGraph_t g, const cudaGraphNode_t* from,
                                        const cudaGraphNode_t* to, const cudaGraphEdgeData*,
                                        size_t n) {
  return api(__func__, [&]() -> cudaError_t {
    if (!g || (n && (!from || !to))) return cudaErrorInvalidValue;
    for (size_t i = 0; i < n; ++i) std::erase(node_of(to[i])->after, node_of(from[i]));
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroyNode(cudaGraphNode_t node) {
  return api(__func__, [&]() -> cudaError_t {
    if (!node) return cudaErrorInvalidValue;
    auto& nodes = node_of(node)->graph->nodes;
    for (auto& n : nodes) std::erase(n->after, node_of(node));
    std::erase_if(nodes, [&](auto& n) { return n.get() == node_of(node); });
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDebugDotPrint(cudaGraph_t graph, const char* path, unsigned) {
  return api(__func__, [&]() -> cudaError_t {
    FILE* f = graph && path ? std::fopen(path, "w") : nullptr;
    if (!f) return cudaErrorOperatingSystem;
    std::fprintf(f, "digraph cudasim {\n");
    std::unordered_map<Node*, size_t> index;
    for (auto& n : graph_of(graph)->nodes) {
      size_t i = index.size();
      index[n.get()] = i;
      std::fprintf(f, "  n%zu [label=\"%s\"];\n", i,
                   n->work.kernel ? n->work.kernel->entry->demangled.c_str() : "node");
    }
    for (auto& n : graph_of(graph)->nodes)
      for (Node* d : n->after) std::fprintf(f, "  n%zu -> n%zu;\n", index[d], index[n.get()]);
    std::fprintf(f, "}\n");
    std::fclose(f);
    return cudaSuccess;
  });
}

cudaError_t cudaUserObjectCreate(cudaUserObject_t* out, void* pointer, cudaHostFn_t destroy,
                                 unsigned references, unsigned) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || !destroy) return cudaErrorInvalidValue;
    *out = reinterpret_cast<cudaUserObject_t>(new UserObject{pointer, destroy, references});
    return cudaSuccess;
  });
}
cudaError_t cudaUserObjectRetain(cudaUserObject_t o, unsigned count) {
  return api(__func__, [&] {
    reinterpret_cast<UserObject*>(o)->references += count;
    return cudaSuccess;
  });
}
cudaError_t cudaUserObjectRelease(cudaUserObject_t o, unsigned count) {
  return api(__func__, [&] {
    auto* u = reinterpret_cast<UserObject*>(o);
    u->references -= std::min(count, u->references);
    if (u->references == 0) {
      u->destroy(u->pointer);
      delete u;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count,
                                      unsigned flags) {
  // The graph keeps the object for the life of the process; moving gives it the caller's
  // references.
  return api(__func__, [&]() -> cudaError_t {
    if (!graph || !object) return cudaErrorInvalidValue;
    if (!(flags & cudaGraphUserObjectMove))
      reinterpret_cast<UserObject*>(object)->references += count;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphReleaseUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count) {
  return graph ? cudaUserObjectRelease(object, count) : cudaErrorInvalidValue;
}
cudaError_t cudaDeviceGraphMemTrim(int) {
  return api(__func__, [] { return cudaSuccess; });
}
cudaError_t cudaDeviceGetGraphMemAttribute(int, cudaGraphMemAttributeType, void* out) {
  return api(__func__, [&] {
    *static_cast<uint64_t*>(out) = 0;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSetGraphMemAttribute(int, cudaGraphMemAttributeType, void*) {
  return api(__func__, [] { return cudaSuccess; });
}

}  // extern "C"
