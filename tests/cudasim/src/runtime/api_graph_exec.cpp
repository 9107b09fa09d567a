// SPDX-License-Identifier: Apache-2.0
// Executable graphs: instantiation, launch, update.
#include "graph.h"

using namespace cudasim;

namespace {

// Nodes in an order that respects their edges; empty when there is a cycle.
std::vector<Node*> ordered(const Graph& g) {
  std::unordered_map<Node*, size_t> waiting;
  std::unordered_map<Node*, std::vector<Node*>> then;
  std::vector<Node*> out, open;
  for (auto& n : g.nodes) {
    waiting[n.get()] = n->after.size();
    for (Node* d : n->after) then[d].push_back(n.get());
  }
  for (auto it = g.nodes.rbegin(); it != g.nodes.rend(); ++it)
    if ((*it)->after.empty()) open.push_back(it->get());
  while (!open.empty()) {
    Node* n = open.back();
    open.pop_back();
    out.push_back(n);
    for (Node* next : then[n])
      if (--waiting[next] == 0) open.push_back(next);
  }
  return out.size() == g.nodes.size() ? out : std::vector<Node*>{};
}

// Enqueues one run of the graph after `start`; returns the operations nothing depends on.
std::vector<OpPtr> expand(Lock& lock, const Graph& g, const OpPtr& start, int index) {
  std::unordered_map<Node*, OpPtr> ops;
  std::unordered_set<Node*> inner;
  for (Node* n : ordered(g)) {
    std::vector<OpPtr> after{start};
    for (Node* d : n->after) {
      after.push_back(ops.at(d));
      inner.insert(d);
    }
    OpPtr op;
    if (!n->enabled) {
      op = marker("disabled graph node", index);
    } else if (n->work.type == cudaGraphNodeTypeGraph) {
      OpPtr entry = marker("child graph begins", index);
      entry->stream_error = start->stream_error;
      engine::add(lock, entry, after);
      after = expand(lock, *n->work.child, entry, index);
      after.push_back(entry);
      op = marker("child graph ends", index);
    } else if (n->work.type == cudaGraphNodeTypeEventRecord) {
      op = marker("event record", index);
      n->work.event->record = op;
      n->work.event->capture.reset();
    } else if (n->work.type == cudaGraphNodeTypeWaitEvent) {
      after.push_back(n->work.event->record);
      op = marker("wait for event", index);
    } else {
      op = make_op(n->work, n->device);
    }
    op->stream_error = start->stream_error;
    engine::add(lock, op, after);
    ops[n] = op;
  }
  std::vector<OpPtr> leaves;
  for (auto& [n, op] : ops)
    if (!inner.count(n)) leaves.push_back(op);
  return leaves;
}

cudaError_t instantiate(const char* name, cudaGraphExec_t* out, cudaGraph_t graph,
                        unsigned long long flags) {
  return api_device(name, [&](Lock&, Device&) -> cudaError_t {
    if (!out || !graph) return cudaErrorInvalidValue;
    if (!graph_of(graph)->nodes.empty() && ordered(*graph_of(graph)).empty())
      return cudaErrorInvalidValue;  // a cycle
    auto* e = new Executable;
    e->graph = clone(*graph_of(graph), e->copies);
    e->flags = flags;
    runtime().executables.insert(e);
    *out = reinterpret_cast<cudaGraphExec_t>(e);
    return cudaSuccess;
  });
}

}  // namespace

extern "C" {

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t g, unsigned long long flags) {
  return instantiate(__func__, out, g, flags);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t g,
                                          unsigned long long flags) {
  return instantiate(__func__, out, g, flags);
}
cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* out, cudaGraph_t g,
                                           cudaGraphInstantiateParams* p) {
  cudaError_t error = instantiate(__func__, out, g, p ? p->flags : 0);
  if (p) {
    p->errNode_out = nullptr;
    p->result_out = error == cudaSuccess ? cudaGraphInstantiateSuccess : cudaGraphInstantiateError;
  }
  return error;
}
cudaError_t cudaGraphExecGetFlags(cudaGraphExec_t e, unsigned long long* flags) {
  return api(__func__, [&]() -> cudaError_t {
    if (!e || !flags) return cudaErrorInvalidValue;
    *flags = exec_of(e)->flags;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t e, cudaStream_t stream) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    Stream* s = nullptr;
    return e ? resolve_stream(stream, s) : cudaErrorInvalidValue;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    Stream* s = nullptr;
    Executable* e = exec_of(handle);
    if (!e) return cudaErrorInvalidValue;
    if (cudaError_t error = resolve_stream(stream, s); error != cudaSuccess) return error;
    if (s->capture) {
      Work work;
      work.type = cudaGraphNodeTypeGraph;
      std::unordered_map<const Node*, Node*> map;
      work.child = clone(*e->graph, map);
      return submit(lock, *s, std::move(work));
    }
    if (cudaError_t error = forbid_default_stream(*s, "graph launch"); error != cudaSuccess)
      return error;
    if (s->legacy)
      if (cudaError_t error = forbid_legacy_during_capture(device(s->device)); error != cudaSuccess)
        return error;
    OpPtr start = marker("graph begins", s->device);
    engine::enqueue(lock, *s, start, {e->last});
    auto leaves = expand(lock, *e->graph, start, s->device);
    OpPtr end = marker("graph ends", s->device);
    engine::enqueue(lock, *s, end, leaves);
    e->last = end;
    return device(s->device).sticky;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    if (!runtime().executables.erase(exec_of(e))) return cudaErrorInvalidValue;
    delete exec_of(e);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphNodeSetEnabled(cudaGraphExec_t e, cudaGraphNode_t node, unsigned enabled) {
  return api(__func__, [&]() -> cudaError_t {
    if (!e || !exec_of(e)->copies.count(node_of(node))) return cudaErrorInvalidValue;
    exec_of(e)->copies[node_of(node)]->enabled = enabled != 0;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphNodeGetEnabled(cudaGraphExec_t e, cudaGraphNode_t node, unsigned* out) {
  return api(__func__, [&]() -> cudaError_t {
    if (!e || !out || !exec_of(e)->copies.count(node_of(node))) return cudaErrorInvalidValue;
    *out = exec_of(e)->copies[node_of(node)]->enabled;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t handle, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    Executable* e = exec_of(handle);
    if (!e || !graph) return cudaErrorInvalidValue;
    std::unordered_map<const Node*, Node*> map;
    auto fresh = clone(*graph_of(graph), map);
    auto refuse = [&](cudaGraphExecUpdateResult why) {
      if (info) *info = {why, nullptr, nullptr};
      return cudaErrorGraphExecUpdateFailure;
    };
    if (fresh->nodes.size() != e->graph->nodes.size())
      return refuse(cudaGraphExecUpdateErrorTopologyChanged);
    std::unordered_map<const Node*, size_t> old_index, new_index;
    for (size_t i = 0; i < fresh->nodes.size(); ++i) {
      old_index[e->graph->nodes[i].get()] = i;
      new_index[fresh->nodes[i].get()] = i;
    }
    for (size_t i = 0; i < fresh->nodes.size(); ++i) {
      Node &a = *e->graph->nodes[i], &b = *fresh->nodes[i];
      if (a.work.type != b.work.type) return refuse(cudaGraphExecUpdateErrorNodeTypeChanged);
      if (a.after.size() != b.after.size()) return refuse(cudaGraphExecUpdateErrorTopologyChanged);
      for (size_t k = 0; k < a.after.size(); ++k)
        if (old_index.at(a.after[k]) != new_index.at(b.after[k]))
          return refuse(cudaGraphExecUpdateErrorTopologyChanged);
    }
    for (size_t i = 0; i < fresh->nodes.size(); ++i)
      e->graph->nodes[i]->work = fresh->nodes[i]->work;
    if (info) *info = {cudaGraphExecUpdateSuccess, nullptr, nullptr};
    return cudaSuccess;
  });
}

}  // extern "C"
