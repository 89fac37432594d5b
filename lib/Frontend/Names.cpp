// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Names to values. ONNX's checker would find the same mistakes but tells a
// cycle, an unsorted list and a missing definition apart by nothing.
#include "Names.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <queue>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

using NameSet = SmallSetVector<StringRef, 8>;

static void collectUses(const pb::NodeProto &node, NameSet &uses);

/// Names that `graph` uses and does not define.
static void collectFree(const pb::GraphProto &graph, NameSet &free) {
  StringSet<> defined;
  NameSet used;
  for (const auto &input : graph.input())
    defined.insert(input.name());
  for (const auto &initializer : graph.initializer())
    defined.insert(initializer.name());
  for (const auto &sparse : graph.sparse_initializer())
    defined.insert(sparse.values().name());
  for (const auto &node : graph.node()) {
    for (const auto &output : node.output())
      defined.insert(output);
    collectUses(node, used);
  }
  for (StringRef name : used)
    if (!defined.contains(name))
      free.insert(name);
}

/// The node's inputs and what its subgraphs capture.
static void collectUses(const pb::NodeProto &node, NameSet &uses) {
  for (const auto &input : node.input())
    if (!input.empty())
      uses.insert(input);
  for (const auto &attr : node.attribute()) {
    if (attr.has_g())
      collectFree(attr.g(), uses);
    for (const auto &graph : attr.graphs())
      collectFree(graph, uses);
  }
}

namespace {
/// One graph and the graphs around it.
struct Scope {
  const Scope *outer;
  /// The node that defines a name, -1 for inputs and initialisers.
  StringMap<int> definer;

  bool defines(StringRef name) const {
    return definer.count(name) || (outer && outer->defines(name));
  }
};

class Resolver {
public:
  Resolver(pb::GraphProto &graph, const Scope *outer, const Report &report)
      : graph(graph), scope{outer, {}}, report(report) {}
  LogicalResult run() {
    return success(succeeded(defineNames()) && succeeded(collectProducers()) &&
                   succeeded(sortNodes()) && succeeded(descend()));
  }

private:
  LogicalResult define(const std::string &name, int node);
  LogicalResult defineNames();
  LogicalResult collectProducers();
  LogicalResult sortNodes();
  LogicalResult reportCycle(ArrayRef<unsigned> missing) const;
  void reorder(ArrayRef<int> order);
  LogicalResult descend();

  pb::GraphProto &graph;
  Scope scope;
  const Report &report;
  /// For each node the nodes that define what it uses.
  SmallVector<SmallSetVector<int, 4>> producers;
};
} // namespace

LogicalResult Resolver::define(const std::string &name, int node) {
  // Inputs of a subgraph may hide outer values, as the checker has it.
  if (node >= 0 && scope.outer && scope.outer->defines(name))
    return report.error(graph.node(node),
                        "defines '" + name +
                            "', which the graph around it defines too");
  auto [it, isNew] = scope.definer.try_emplace(name, node);
  if (isNew)
    return success();
  std::string what = "value '" + name + "' is already defined by ";
  if (it->second < 0)
    what += "an input or initialiser";
  else
    what += describe(graph.node(it->second));
  return node < 0 ? report.error(what) : report.error(graph.node(node), what);
}

LogicalResult Resolver::defineNames() {
  StringSet<> inputs, initializers;
  for (const auto &input : graph.input())
    if (inputs.insert(input.name()); failed(define(input.name(), -1)))
      return failure();
  auto defineInitializer = [&](const std::string &name) {
    if (!initializers.insert(name).second)
      return report.error("initialiser '" + name + "' is defined twice");
    // An initialiser may be the default of an input.
    return inputs.contains(name) ? success() : define(name, -1);
  };
  for (const auto &initializer : graph.initializer())
    if (failed(defineInitializer(initializer.name())))
      return failure();
  for (const auto &sparse : graph.sparse_initializer())
    if (failed(defineInitializer(sparse.values().name())))
      return failure();
  for (int i = 0; i < graph.node_size(); ++i)
    for (const auto &output : graph.node(i).output())
      if (!output.empty() && failed(define(output, i)))
        return failure();
  return success();
}

LogicalResult Resolver::collectProducers() {
  producers.resize(graph.node_size());
  for (int i = 0; i < graph.node_size(); ++i) {
    NameSet uses;
    collectUses(graph.node(i), uses);
    for (StringRef name : uses) {
      auto it = scope.definer.find(name);
      if (it != scope.definer.end() && it->second >= 0)
        producers[i].insert(it->second);
      else if (it == scope.definer.end() &&
               !(scope.outer && scope.outer->defines(name)))
        return report.error(graph.node(i),
                            "uses '" + name + "', which nothing defines");
    }
  }
  for (const auto &output : graph.output())
    if (!scope.defines(output.name()))
      return report.error("graph output '" + output.name() +
                          "' is not defined by any node");
  return success();
}

/// Kahn's algorithm; the file's order is kept wherever it is possible.
LogicalResult Resolver::sortNodes() {
  int count = graph.node_size();
  SmallVector<unsigned> missing(count, 0);
  SmallVector<SmallVector<int, 2>> users(count);
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  for (int i = 0; i < count; ++i) {
    missing[i] = producers[i].size();
    for (int producer : producers[i])
      users[producer].push_back(i);
    if (!missing[i])
      ready.push(i);
  }
  SmallVector<int> order;
  while (!ready.empty()) {
    int next = ready.top();
    ready.pop();
    order.push_back(next);
    for (int user : users[next])
      if (--missing[user] == 0)
        ready.push(user);
  }
  if (static_cast<int>(order.size()) != count)
    return reportCycle(missing);
  if (!is_sorted(order))
    reorder(order);
  return success();
}

/// Walks producers among the nodes never ready until one comes again.
LogicalResult Resolver::reportCycle(ArrayRef<unsigned> missing) const {
  auto isStuck = [&](int i) { return missing[i] != 0; };
  SmallSetVector<int, 8> path;
  int at =
      find_if(missing, [](unsigned n) { return n != 0; }) - missing.begin();
  while (path.insert(at))
    at = *find_if(producers[at], isStuck);
  std::string through;
  for (int i : reverse(ArrayRef(path.getArrayRef()).drop_while([&](int i) {
         return i != at;
       })))
    through += " -> '" + nodeName(graph.node(i)) + "'";
  return report.error(graph.node(at), "depends on itself: '" +
                                          nodeName(graph.node(at)) + "'" +
                                          through);
}

void Resolver::reorder(ArrayRef<int> order) {
  SmallVector<pb::NodeProto *> nodes(order.size());
  graph.mutable_node()->ExtractSubrange(0, order.size(), nodes.data());
  for (int i : order)
    graph.mutable_node()->AddAllocated(nodes[i]);
}

LogicalResult Resolver::descend() {
  for (auto &node : *graph.mutable_node())
    for (auto &attr : *node.mutable_attribute()) {
      if (attr.has_g() &&
          failed(Resolver(*attr.mutable_g(), &scope, report).run()))
        return failure();
      for (auto &inner : *attr.mutable_graphs())
        if (failed(Resolver(inner, &scope, report).run()))
          return failure();
    }
  return success();
}

LogicalResult frontend::resolveNames(pb::GraphProto &graph,
                                     const Report &report) {
  return Resolver(graph, nullptr, report).run();
}

void frontend::nameNodes(pb::GraphProto &graph) {
  forEachGraph(graph, [](pb::GraphProto &each) {
    for (auto &node : *each.mutable_node())
      if (node.name().empty())
        node.set_name(nodeName(node));
  });
}
