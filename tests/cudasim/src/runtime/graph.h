// SPDX-License-Identifier: Apache-2.0
// Graph handles, shared by the files that build graphs and run them.
#pragma once

#include "runtime.h"

namespace cudasim {

inline Graph* graph_of(cudaGraph_t g) { return reinterpret_cast<Graph*>(g); }
inline Node* node_of(cudaGraphNode_t n) { return reinterpret_cast<Node*>(n); }
inline Executable* exec_of(cudaGraphExec_t e) { return reinterpret_cast<Executable*>(e); }
inline cudaGraphNode_t handle(Node* n) { return reinterpret_cast<cudaGraphNode_t>(n); }

// A deep copy; `map` tells which node became which.
std::shared_ptr<Graph> clone(const Graph& g, std::unordered_map<const Node*, Node*>& map);

}  // namespace cudasim
