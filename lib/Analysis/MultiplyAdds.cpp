// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Multiply-adds of products, which is where a transformer's time goes;
// element-wise work and norms are not counted.
#include "MultiplyAdds.h"
#include "ShapeRules.h"
#include "dialects/Ffn/FfnOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

using Count = Dim (*)(NodeOp node, const SymbolicShapes &shapes);

static Dim elements(Value value, const SymbolicShapes &shapes) {
  ShapeList shape = shapes.getShape(value);
  return shape ? product(*shape) : std::nullopt;
}

static Dim times(const Dim &a, const Dim &b) {
  return a && b ? Dim(*a * *b) : std::nullopt;
}

/// Elements of the result, each a sum over the last dimension of operand 0.
static Dim matMul(NodeOp node, const SymbolicShapes &shapes) {
  return times(elements(node.getResult(0), shapes),
               shapes.getDim(node.operandOrNull(0), -1));
}

static Dim gemm(NodeOp node, const SymbolicShapes &shapes) {
  return times(elements(node.getResult(0), shapes),
               shapes.getDim(node.operandOrNull(0),
                             node.intAttr("transA", 0) ? -2 : -1));
}

/// Elements of the result, each a sum over one filter.
static Dim conv(NodeOp node, const SymbolicShapes &shapes) {
  ShapeList weight = shapes.getShape(node.operandOrNull(1));
  if (!weight || weight->empty())
    return std::nullopt;
  return times(elements(node.getResult(0), shapes),
               product(weight->drop_front()));
}

/// Scores and their product with values: query elements times keys, twice.
static Dim attention(NodeOp node, const SymbolicShapes &shapes) {
  Value query = node.operandOrNull(0);
  Value key = node.operandOrNull(1);
  if (!key)
    return std::nullopt;
  Dim both = times(elements(query, shapes), shapes.getDim(key, -2));
  return times(both, DimExpr(2));
}

/// com.microsoft Attention also projects x to q, k and v.
static Dim packedAttention(NodeOp node, const SymbolicShapes &shapes) {
  Value x = node.operandOrNull(0);
  Dim projections =
      times(elements(x, shapes), shapes.getDim(node.operandOrNull(1), 1));
  Dim scores =
      times(times(elements(x, shapes), shapes.getDim(x, 1)), DimExpr(2));
  return projections && scores ? Dim(*projections + *scores) : std::nullopt;
}

static Dim block(ffn::BlockOp op, const SymbolicShapes &shapes) {
  Dim perRow = elements(op.getUp(), shapes);
  Dim down = elements(op.getDown(), shapes);
  if (!perRow || !down)
    return std::nullopt;
  DimExpr sum = op.getGate() ? *perRow * DimExpr(2) + *down : *perRow + *down;
  ShapeList x = shapes.getShape(op.getX());
  return x ? times(product(x->drop_back()), sum) : std::nullopt;
}

Dim sparse_opt::countMultiplyAdds(Operation *op, const SymbolicShapes &shapes) {
  static const llvm::StringMap<Count> counts = {
      {"MatMul", matMul},
      {"MatMulInteger", matMul},
      {"QLinearMatMul", matMul},
      {"Gemm", gemm},
      {"Conv", conv},
      {"Attention", attention},
      {"com.microsoft:MatMulNBits", matMul},
      {"com.microsoft:FusedMatMul", gemm},
      {"com.microsoft:MultiHeadAttention", attention},
      {"com.microsoft:Attention", packedAttention}};
  if (auto ffnBlock = dyn_cast<ffn::BlockOp>(op))
    return block(ffnBlock, shapes);
  auto node = dyn_cast<NodeOp>(op);
  if (!node || node->getNumResults() == 0)
    return DimExpr(0);
  StringRef domain = node.getDomain().value_or("");
  Count count =
      counts.lookup(domain.empty() ? node.getOpType().str()
                                   : (domain + ":" + node.getOpType()).str());
  return count ? count(node, shapes) : Dim(DimExpr(0));
}
