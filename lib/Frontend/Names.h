// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_NAMES_H
#define SPARSE_OPT_LIB_FRONTEND_NAMES_H
#include "Report.h"

namespace sparse_opt::frontend {

/// Every value of `graph` and its subgraphs is defined once and before its
/// uses: nodes are put into an order that has this, which ONNX wants and some
/// exporters miss. Reports duplicate and undefined names and cycles.
llvm::LogicalResult resolveNames(pb::GraphProto &graph, const Report &report);

/// Gives every unnamed node the name that `nodeName` says.
void nameNodes(pb::GraphProto &graph);

/// Calls `visit` on `graph` and each graph inside it, outermost first.
template <typename Graph, typename Visit>
void forEachGraph(Graph &graph, Visit visit) {
  visit(graph);
  for (auto &node : *graph.mutable_node())
    for (auto &attr : *node.mutable_attribute()) {
      if (attr.has_g())
        forEachGraph(*attr.mutable_g(), visit);
      for (auto &inner : *attr.mutable_graphs())
        forEachGraph(inner, visit);
    }
}

} // namespace sparse_opt::frontend
#endif
