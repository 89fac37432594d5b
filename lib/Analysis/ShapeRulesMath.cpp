// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes of operators that compute: element by element, products, reductions,
// norms.
#include "ShapeRules.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

/// Broadcasts `b` into `a` by the rules of NumPy.
static DimList broadcastLists(ArrayRef<Dim> a, ArrayRef<Dim> b,
                              SymbolicShapes &shapes, NodeOp node) {
  size_t rank = std::max(a.size(), b.size());
  size_t fromA = rank - a.size(), fromB = rank - b.size();
  DimList result;
  for (size_t i = 0; i < rank; ++i)
    result.push_back(i < fromA ? b[i - fromB]
                     : i < fromB
                         ? a[i - fromA]
                         : shapes.broadcast(a[i - fromA], b[i - fromB], node));
  return result;
}

static void elementwise(NodeOp node, SymbolicShapes &shapes) {
  std::optional<DimList> result;
  for (unsigned i = 0; i < node.getOperands().size(); ++i) {
    if (!node.operandOrNull(i))
      continue;
    ShapeList x = shapeOf(node, i, shapes);
    if (!x)
      return;
    result = result ? broadcastLists(*result, *x, shapes, node) : toList(*x);
  }
  if (result)
    shapes.setShape(node.getResult(0), std::move(*result));
}

/// Result shapes are that of operand 0, or absent.
static void likeFirst(NodeOp node, SymbolicShapes &shapes) {
  if (ShapeList x = shapeOf(node, 0, shapes))
    shapes.setShape(node.getResult(0), toList(*x));
}

static void dropout(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  DimList shape = toList(*x);
  for (Value result : node->getResults())
    if (isa<ShapedType>(result.getType()))
      shapes.setShape(result, shape);
}

/// LayerNormalization and kin: y like x, then statistics with 1 for every
/// normalised axis. Skip norms return the sum they normalise last.
static void norm(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  DimList y = toList(*x), statistics = y;
  std::optional<size_t> axis =
      normalizeAxis(node.intAttr("axis", -1), x->size());
  for (size_t i = axis.value_or(x->size()); i < x->size(); ++i)
    statistics[i] = DimExpr(1);
  for (auto [i, result] : llvm::enumerate(node->getResults()))
    if (isa<ShapedType>(result.getType()))
      shapes.setShape(result, i == 0 || i == 3 ? y : statistics);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static void multiply(NodeOp node, ArrayRef<Dim> a, ArrayRef<Dim> b,
                     SymbolicShapes &shapes) {
  if (a.empty() || b.empty())
    return;
  const Dim &left = a.back();
  const Dim &right = b.size() > 1 ? b[b.size() - 2] : b.back();
  if (left && right)
    shapes.assumeEqual(*left, *right, node);
  DimList result =
      broadcastLists(a.drop_back(std::min<size_t>(2, a.size())),
                     b.drop_back(std::min<size_t>(2, b.size())), shapes, node);
  if (a.size() > 1)
    result.push_back(a[a.size() - 2]);
  if (b.size() > 1)
    result.push_back(b.back());
  shapes.setShape(node.getResult(0), std::move(result));
}

static void matMul(NodeOp node, SymbolicShapes &shapes) {
  ShapeList a = shapeOf(node, 0, shapes), b = shapeOf(node, 1, shapes);
  if (a && b)
    multiply(node, *a, *b, shapes);
}

/// com.microsoft FusedMatMul: either side may be transposed.
static void fusedMatMul(NodeOp node, SymbolicShapes &shapes) {
  ShapeList a = shapeOf(node, 0, shapes), b = shapeOf(node, 1, shapes);
  if (!a || !b || a->size() < 2 || b->size() < 2 ||
      node.intAttr("transBatchA", 0) || node.intAttr("transBatchB", 0))
    return;
  DimList left = toList(*a), right = toList(*b);
  if (node.intAttr("transA", 0))
    std::swap(left.back(), left[left.size() - 2]);
  if (node.intAttr("transB", 0))
    std::swap(right.back(), right[right.size() - 2]);
  multiply(node, left, right, shapes);
}

/// MatMulInteger, QLinearMatMul and MatMulNBits keep b elsewhere.
static void quantizedMatMul(NodeOp node, SymbolicShapes &shapes) {
  ShapeList a = shapeOf(node, 0, shapes);
  if (!a || a->empty() || !node.attr("N"))
    return;
  DimList result = toList(*a);
  result.back() = DimExpr(node.intAttr("N", 0));
  shapes.setShape(node.getResult(0), std::move(result));
}

static void gemm(NodeOp node, SymbolicShapes &shapes) {
  ShapeList a = shapeOf(node, 0, shapes), b = shapeOf(node, 1, shapes);
  if (!a || !b || a->size() != 2 || b->size() != 2)
    return;
  bool transA = node.intAttr("transA", 0), transB = node.intAttr("transB", 0);
  const Dim &left = (*a)[!transA], &right = (*b)[transB];
  if (left && right)
    shapes.assumeEqual(*left, *right, node);
  shapes.setShape(node.getResult(0), {(*a)[transA], (*b)[!transB]});
}

/// Letters of an equation without dots name sizes.
static void einsum(NodeOp node, SymbolicShapes &shapes) {
  std::string equation = node.stringAttr("equation", "").str();
  llvm::erase(equation, ' ');
  auto [inputs, output] = StringRef(equation).split("->");
  if (!StringRef(equation).contains("->") || inputs.contains('.'))
    return;
  llvm::DenseMap<char, Dim> sizes;
  SmallVector<StringRef> terms;
  inputs.split(terms, ',');
  for (auto [i, term] : llvm::enumerate(terms)) {
    ShapeList x = shapeOf(node, i, shapes);
    if (!x || x->size() != term.size())
      return;
    for (auto [letter, dim] : llvm::zip(term, *x)) {
      Dim &known = sizes.try_emplace(letter, dim).first->second;
      known = shapes.broadcast(known, dim, node);
    }
  }
  DimList result;
  for (char letter : output)
    result.push_back(sizes.lookup(letter));
  shapes.setShape(node.getResult(0), std::move(result));
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static void reduce(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  bool keep = node.intAttr("keepdims", 1);
  auto axes = constantsOf(node, 1, "axes", shapes);
  if (!axes && node.operandOrNull(1))
    return;
  bool all = !axes || axes->empty();
  if (all && node.intAttr("noop_with_empty_axes", 0))
    return likeFirst(node, shapes);
  SmallVector<bool> reduced(x->size(), all);
  for (int64_t axis : axes.value_or(SmallVector<int64_t>()))
    if (std::optional<size_t> at = normalizeAxis(axis, x->size()))
      reduced[*at] = true;
  DimList result;
  for (auto [dim, gone] : llvm::zip(*x, reduced))
    if (!gone)
      result.push_back(dim);
    else if (keep)
      result.push_back(DimExpr(1));
  shapes.setShape(node.getResult(0), std::move(result));
}

static void argReduce(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  std::optional<size_t> axis =
      x ? normalizeAxis(node.intAttr("axis", 0), x->size()) : std::nullopt;
  if (!axis)
    return;
  DimList result = toList(*x);
  if (node.intAttr("keepdims", 1))
    result[*axis] = DimExpr(1);
  else
    result.erase(result.begin() + *axis);
  shapes.setShape(node.getResult(0), std::move(result));
}

static void topK(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), k = contentsOf(node, 1, shapes);
  std::optional<size_t> axis =
      x ? normalizeAxis(node.intAttr("axis", -1), x->size()) : std::nullopt;
  if (!axis)
    return;
  DimList result = toList(*x);
  result[*axis] = k && k->size() == 1 ? (*k)[0] : Dim();
  for (Value output : node->getResults())
    if (isa<ShapedType>(output.getType()))
      shapes.setShape(output, result);
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

static llvm::StringMap<ShapeRule> makeRules() {
  llvm::StringMap<ShapeRule> rules = {
      {"MatMul", matMul},
      {"MatMulInteger", matMul},
      {"Gemm", gemm},
      {"Einsum", einsum},
      {"TopK", topK},
      {"ArgMax", argReduce},
      {"ArgMin", argReduce},
      {"Dropout", dropout},
      {"LayerNormalization", norm},
      {"SimplifiedLayerNormalization", norm},
      {"RMSNormalization", norm},
      {"com.microsoft:SkipLayerNormalization", norm},
      {"com.microsoft:SkipSimplifiedLayerNormalization", norm},
      {"com.microsoft:SimplifiedLayerNormalization", norm},
      {"com.microsoft:LayerNormalization", norm},
      {"com.microsoft:FusedMatMul", fusedMatMul},
      {"com.microsoft:TransposeMatMul", fusedMatMul},
      {"com.microsoft:DynamicQuantizeMatMul", matMul},
      {"com.microsoft:MatMulNBits", quantizedMatMul}};
  for (StringRef name : {"Add",
                         "Sub",
                         "Mul",
                         "Div",
                         "Pow",
                         "Mod",
                         "Min",
                         "Max",
                         "Sum",
                         "Mean",
                         "And",
                         "Or",
                         "Xor",
                         "Equal",
                         "Greater",
                         "GreaterOrEqual",
                         "Less",
                         "LessOrEqual",
                         "Where",
                         "BitShift",
                         "BitwiseAnd",
                         "BitwiseOr",
                         "BitwiseXor",
                         "com.microsoft:BiasGelu",
                         "com.microsoft:FastGelu"})
    rules[name] = elementwise;
  for (StringRef name : {"Abs",
                         "Acos",
                         "Acosh",
                         "Asin",
                         "Asinh",
                         "Atan",
                         "Atanh",
                         "BatchNormalization",
                         "Bernoulli",
                         "BitwiseNot",
                         "Cast",
                         "CastLike",
                         "Ceil",
                         "Celu",
                         "Clip",
                         "Cos",
                         "Cosh",
                         "CumSum",
                         "DequantizeLinear",
                         "DynamicQuantizeLinear",
                         "Elu",
                         "Erf",
                         "Exp",
                         "EyeLike",
                         "Floor",
                         "Gelu",
                         "GroupNormalization",
                         "HardSigmoid",
                         "HardSwish",
                         "Hardmax",
                         "Identity",
                         "InstanceNormalization",
                         "IsInf",
                         "IsNaN",
                         "LRN",
                         "LeakyRelu",
                         "Log",
                         "LogSoftmax",
                         "LpNormalization",
                         "MeanVarianceNormalization",
                         "Mish",
                         "Neg",
                         "Not",
                         "PRelu",
                         "QuantizeLinear",
                         "RandomNormalLike",
                         "RandomUniformLike",
                         "Reciprocal",
                         "Relu",
                         "ReverseSequence",
                         "RotaryEmbedding",
                         "Round",
                         "Scatter",
                         "ScatterElements",
                         "ScatterND",
                         "Selu",
                         "Shrink",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Sinh",
                         "Softmax",
                         "Softplus",
                         "Softsign",
                         "Sqrt",
                         "Swish",
                         "Tan",
                         "Tanh",
                         "ThresholdedRelu",
                         "Trilu",
                         "com.microsoft:DequantizeLinear",
                         "com.microsoft:Gelu",
                         "com.microsoft:QuantizeLinear",
                         "com.microsoft:QuickGelu",
                         "com.microsoft:RotaryEmbedding"})
    rules[name] = likeFirst;
  for (StringRef name :
       {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare"})
    rules[name] = reduce;
  return rules;
}

ShapeRule sparse_opt::lookupMathRule(NodeOp node) {
  static const llvm::StringMap<ShapeRule> rules = makeRules();
  StringRef domain = node.getDomain().value_or("");
  if (domain.empty())
    return rules.lookup(node.getOpType());
  return rules.lookup((domain + ":" + node.getOpType()).str());
}
