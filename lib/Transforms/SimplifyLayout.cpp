// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nodes that copy their operand are found by symbolic shapes; chains of
// Reshape and Transpose that amount to one permutation become it, so that
// later stages see the product's operands in one step.
#include "SimplifyLayout.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// DimTensors
//===----------------------------------------------------------------------===//

DimTensors::DimTensors(func::FuncOp function) : builder(function.getContext()) {
  builder.setInsertionPointToStart(&function.getBody().front());
}

Value DimTensors::get(Location loc, RankedTensorType type,
                      ArrayRef<DimExpr> elements) {
  SmallVector<std::string> texts;
  SmallVector<int64_t> constants;
  for (const DimExpr &element : elements) {
    texts.push_back(element.str());
    if (element.constant())
      constants.push_back(*element.constant());
  }
  std::string key;
  llvm::raw_string_ostream(key) << type << llvm::join(texts, ",");
  Value &value = known[key];
  if (value)
    return value;
  if (constants.size() == elements.size())
    value =
        onnx::ConstantOp::create(builder, loc, makeIntegers(type, constants));
  else
    value = onnx::DimsOp::create(
        builder, loc, type,
        builder.getStrArrayAttr(llvm::to_vector_of<StringRef>(texts)));
  return value;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

static bool haveSameShape(Value a, Value b, const SymbolicShapes &shapes) {
  std::optional<SmallVector<DimExpr>> left = shapes.getKnownShape(a);
  std::optional<SmallVector<DimExpr>> right = shapes.getKnownShape(b);
  return left && right && *left == *right;
}

static bool isAllOf(Value value, double number) {
  if (!value)
    return false;
  std::optional<ConstantData> data = getConstantData(value);
  if (!data || data->size() == 0)
    return false;
  for (int64_t i = 0, end = data->splat ? 1 : data->size(); i < end; ++i)
    if (data->getDouble(i) != number)
      return false;
  return true;
}

/// Operators whose result equals operand 0 when the shapes do: their other
/// operands only say where elements go.
static bool copiesWhenShapesAgree(NodeOp node) {
  if (!node.getDomain().value_or("").empty())
    return false;
  static const llvm::StringSet<> names = {"Identity", "Reshape",   "Expand",
                                          "Squeeze",  "Unsqueeze", "Flatten",
                                          "Tile",     "Cast",      "CastLike"};
  if (names.contains(node.getOpType()))
    return true;
  if (node.is("Slice"))
    return !node.operandOrNull(4) || isAllOf(node.operandOrNull(4), 1);
  if (node.is("Pad"))
    return isAllOf(node.operandOrNull(1), 0);
  if (node.is("Dropout"))
    return !node.operandOrNull(2) || isAllOf(node.operandOrNull(2), 0);
  if (node.is("Transpose")) {
    std::optional<ArrayRef<int64_t>> perm = node.intsAttr("perm");
    return perm && llvm::is_sorted(*perm);
  }
  static const llvm::StringSet<> ofOne = {"Concat", "Sum", "Mean", "Max",
                                          "Min"};
  return ofOne.contains(node.getOpType()) && node.getOperands().size() == 1;
}

/// The operand beside a neutral element: x * 1, x / 1, and(x, true).
static Value besideNeutral(NodeOp node) {
  if (!node.getDomain().value_or("").empty() || node.getOperands().size() != 2)
    return {};
  Value a = node.getOperand(0), b = node.getOperand(1);
  bool multiplies = node.is("Mul") || node.is("And");
  if ((multiplies || node.is("Div")) && isAllOf(b, 1))
    return a;
  if (multiplies && isAllOf(a, 1))
    return b;
  if (node.is("Or") && isAllOf(b, 0))
    return a;
  return node.is("Or") && isAllOf(a, 0) ? b : Value();
}

Value sparse_opt::findEqualOperand(NodeOp node, const SymbolicShapes &shapes) {
  if (node->getNumResults() == 0 || node.getOperands().empty() ||
      llvm::any_of(node->getResults().drop_front(),
                   [](Value result) { return !result.use_empty(); }))
    return {};
  Value operand =
      copiesWhenShapesAgree(node) ? node.getOperand(0) : besideNeutral(node);
  Value result = node.getResult(0);
  if (!operand || operand == result)
    return {};
  // Identity also passes what has no shape.
  if (node.is("Identity") && operand.getType() == result.getType())
    return operand;
  if (getElementTypeOrSelf(operand.getType()) !=
          getElementTypeOrSelf(result.getType()) ||
      !haveSameShape(operand, result, shapes))
    return {};
  return operand;
}

//===----------------------------------------------------------------------===//
// Permutations
//===----------------------------------------------------------------------===//

using Sizes = SmallVector<DimExpr>;

/// Groups consecutive sizes of `from` into products that are the sizes of
/// `to`; nothing when `to` is no such collapse.
static std::optional<SmallVector<SmallVector<int64_t>>>
collapseGroups(const Sizes &from, const Sizes &to) {
  SmallVector<SmallVector<int64_t>> groups;
  size_t next = 0;
  for (const DimExpr &size : to) {
    SmallVector<int64_t> group;
    DimExpr product(1);
    while (next < from.size() && (group.empty() || product != size)) {
      group.push_back(next);
      product = product * from[next++];
    }
    if (product != size || group.empty())
      return std::nullopt;
    groups.push_back(std::move(group));
  }
  // Ones at the end belong to the last group.
  for (; next < from.size() && !groups.empty(); ++next) {
    if (!from[next].isConstant(1))
      return std::nullopt;
    groups.back().push_back(next);
  }
  if (next != from.size())
    return std::nullopt;
  return groups;
}

static NodeOp getNode(Value value, StringRef name) {
  auto node = value.getDefiningOp<NodeOp>();
  return node && node.is(name) && !node.getOperands().empty() ? node : NodeOp();
}

/// Nothing when the attribute is no permutation of `rank` axes.
static std::optional<SmallVector<int64_t>> getPermutation(NodeOp transpose,
                                                          size_t rank) {
  SmallVector<int64_t> perm =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(rank)));
  if (std::optional<ArrayRef<int64_t>> given = transpose.intsAttr("perm"))
    perm = llvm::to_vector(*given);
  if (perm.size() != rank || !isPermutationVector(perm))
    return std::nullopt;
  return perm;
}

static Value createTranspose(NodeOp like, Value x, ArrayRef<int64_t> perm,
                             OpBuilder &builder) {
  builder.setInsertionPoint(like);
  auto attrs = builder.getDictionaryAttr(
      builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
  auto node = NodeOp::create(
      builder, like.getLoc(), like.getResult(0).getType(), "Transpose",
      /*domain=*/StringAttr(), /*version=*/13, ValueRange(x), attrs,
      /*graphs=*/ArrayAttr(), /*bodiesCount=*/0);
  return node.getResult(0);
}

/// transpose(transpose(x)) -> transpose(x)
static Value mergeTwoTransposes(NodeOp outer, OpBuilder &builder) {
  NodeOp inner = getNode(outer.getOperand(0), "Transpose");
  auto type = dyn_cast<RankedTensorType>(outer.getResult(0).getType());
  if (!inner || !type)
    return {};
  auto first = getPermutation(inner, type.getRank());
  auto second = getPermutation(outer, type.getRank());
  if (!first || !second)
    return {};
  for (int64_t &axis : *second)
    axis = (*first)[axis];
  if (llvm::is_sorted(*second))
    return inner.getOperand(0);
  return createTranspose(outer, inner.getOperand(0), *second, builder);
}

/// reshape(transpose(reshape(x))) -> transpose(x), where the first joins
/// dimensions of x and the last parts them again.
static Value mergeReshapes(NodeOp last, const SymbolicShapes &shapes,
                           OpBuilder &builder) {
  NodeOp transpose = getNode(last.getOperand(0), "Transpose");
  NodeOp first =
      transpose ? getNode(transpose.getOperand(0), "Reshape") : NodeOp();
  if (!first)
    return {};
  Value x = first.getOperand(0);
  std::optional<Sizes> from = shapes.getKnownShape(x);
  std::optional<Sizes> joined = shapes.getKnownShape(first.getResult(0));
  std::optional<Sizes> to = shapes.getKnownShape(last.getResult(0));
  if (!from || !joined || !to)
    return {};
  auto groups = collapseGroups(*from, *joined);
  if (!groups)
    return {};
  SmallVector<int64_t> perm;
  auto groupPerm = getPermutation(transpose, joined->size());
  if (!groupPerm)
    return {};
  for (int64_t group : *groupPerm)
    llvm::append_range(perm, (*groups)[group]);
  Sizes permuted;
  for (int64_t axis : perm)
    permuted.push_back((*from)[axis]);
  if (permuted != *to)
    return {};
  return createTranspose(last, x, perm, builder);
}

Value sparse_opt::mergeTransposes(NodeOp node, const SymbolicShapes &shapes,
                                  OpBuilder &builder) {
  if (node.getOperands().empty())
    return {};
  if (node.is("Transpose"))
    return mergeTwoTransposes(node, builder);
  return node.is("Reshape") ? mergeReshapes(node, shapes, builder) : Value();
}
