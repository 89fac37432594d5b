// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Replaces the feed-forward blocks that lib/Analysis finds by `ffn.block`:
// brings weights into one layout, types into agreement and reshapes around
// the block out of the way. What is a block is decided in FfnMatch.cpp.
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Analysis/FfnMatch.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Transforms/OnnxFolding.h"

namespace sparse_opt {
#define GEN_PASS_DEF_CONVERTONNXTOFFN
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Weights and results
//===----------------------------------------------------------------------===//

namespace {
/// Builds the nodes around a block; `foldConstants` evaluates those on weights.
class BlockBuilder {
public:
  BlockBuilder(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  /// The layer's columns of its weight, times `scale`, as an in x size matrix
  /// of `element`.
  Value weight(const LinearLayer &layer, Type element, double scale = 1) {
    Value value = layer.weight;
    scale *= layer.alpha;
    if (layer.size != layer.out)
      value = slice(value, layer, layer.transposed ? 0 : 1);
    if (layer.transposed)
      value = node(
          "Transpose", 13, value,
          RankedTensorType::get({layer.in, layer.size}, elementOf(value)),
          {builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 0}))});
    value = cast(value, element);
    if (scale == 1)
      return value;
    auto scalar = RankedTensorType::get({}, element);
    Value factor = onnx::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(scalar, builder.getFloatAttr(element, scale)));
    return node("Mul", 14, {value, factor}, value.getType());
  }

  /// Its bias as a vector of `element`, or null.
  Value bias(const LinearLayer &layer, Type element) {
    Value value = layer.bias;
    if (!value)
      return value;
    auto vector = RankedTensorType::get({layer.out}, elementOf(value));
    if (value.getType() != vector)
      value = node("Reshape", 14, {value, integers({layer.out})}, vector);
    if (layer.size != layer.out)
      value = slice(value, layer, 0);
    return cast(value, element);
  }

  Value cast(Value value, Type element) {
    if (elementOf(value) == element)
      return value;
    auto type = mlir::cast<RankedTensorType>(value.getType());
    return node("Cast", 13, value, type.clone(element), {});
  }

  /// `value` under sizes that may be symbolic.
  Value reshape(Value value, RankedTensorType type, ArrayRef<DimExpr> sizes) {
    SmallVector<std::string> texts;
    for (const DimExpr &size : sizes)
      texts.push_back(size.str());
    auto shapeType =
        RankedTensorType::get({type.getRank()}, builder.getI64Type());
    Value shape = onnx::DimsOp::create(
        builder, loc, shapeType,
        builder.getStrArrayAttr(llvm::to_vector_of<StringRef>(texts)));
    return node(
        "Reshape", 14, {value, shape}, type,
        {builder.getNamedAttr("allowzero", builder.getI64IntegerAttr(1))});
  }

  Value node(StringRef name, int64_t version, ValueRange operands, Type type,
             ArrayRef<NamedAttribute> attrs = {}) {
    auto node = NodeOp::create(builder, loc, type, name, StringAttr(), version,
                               operands, builder.getDictionaryAttr(attrs),
                               ArrayAttr(), /*bodiesCount=*/0);
    return node.getResult(0);
  }

private:
  static Type elementOf(Value value) {
    return getElementTypeOrSelf(value.getType());
  }

  Value integers(ArrayRef<int64_t> values) {
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                      builder.getI64Type());
    return onnx::ConstantOp::create(builder, loc, makeIntegers(type, values));
  }

  Value slice(Value value, const LinearLayer &layer, int64_t axis) {
    auto type = mlir::cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = layer.size;
    return node("Slice", 13,
                {value, integers({layer.offset}),
                 integers({layer.offset + layer.size}), integers({axis})},
                type.clone(shape), {});
  }

  OpBuilder &builder;
  Location loc;
};
} // namespace

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

using Sizes = std::optional<SmallVector<DimExpr>>;

/// True when all dimensions but the last agree.
static bool haveSameRows(Value a, Value b, const SymbolicShapes &shapes) {
  Sizes left = shapes.getKnownShape(a), right = shapes.getKnownShape(b);
  if (!left || !right || left->empty() || right->empty())
    return false;
  return ArrayRef<DimExpr>(*left).drop_back() ==
         ArrayRef<DimExpr>(*right).drop_back();
}

/// The value in front of the reshapes of rows that end in `x`.
static Value beforeReshapes(Value x) {
  while (auto node = x.getDefiningOp<NodeOp>()) {
    if (!node.is("Reshape") || !keepsRows(node))
      break;
    x = node.getOperand(0);
  }
  return x;
}

/// The value behind a reshape of rows that is all that reads `y`.
static Value afterReshapes(Value y) {
  while (y.hasOneUse()) {
    auto node = dyn_cast<NodeOp>(*y.user_begin());
    if (!node || !node.is("Reshape") || !keepsRows(node))
      break;
    y = node.getResult(0);
  }
  return y;
}

/// The name in the file; the importer calls unnamed nodes "MatMul(output)".
static StringRef givenName(NodeOp node) {
  StringRef name = node.nodeName(), rest = name;
  bool madeUp = rest.consume_front(node.getOpType()) && rest.starts_with("(") &&
                rest.ends_with(")");
  return madeUp ? "" : name;
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
struct ConvertOnnxToFfn
    : sparse_opt::impl::ConvertOnnxToFfnBase<ConvertOnnxToFfn> {
  using ConvertOnnxToFfnBase::ConvertOnnxToFfnBase;

  void runOnOperation() override {
    unsigned blocks = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      SymbolicShapes shapes(function);
      SmallVector<NodeOp> nodes;
      function.walk<WalkOrder::PreOrder>(
          [&](NodeOp node) { nodes.push_back(node); });
      for (NodeOp node : nodes)
        convert(node, shapes, blocks);
      if (blocks)
        eraseDeadNodes(function);
    }
    if (blocks)
      foldConstants(getOperation());
    numBlocks += blocks;
  }

private:
  void convert(NodeOp node, SymbolicShapes &shapes, unsigned &blocks);
  void replace(const FfnMatch &match, SymbolicShapes &shapes, unsigned number);
};
} // namespace

void ConvertOnnxToFfn::convert(NodeOp node, SymbolicShapes &shapes,
                               unsigned &blocks) {
  FfnAnswer answer = matchFfn(node, shapes);
  if (answer.miss) {
    ++numDeclined;
    if (explain)
      mlir::emitRemark(node.getLoc())
          << "ends no feed-forward block: " << answer.miss->reason;
  }
  if (!answer.match)
    return;
  replace(*answer.match, shapes, blocks++);
  numGated += answer.match->gate.has_value();
}

void ConvertOnnxToFfn::replace(const FfnMatch &match, SymbolicShapes &shapes,
                               unsigned number) {
  NodeOp down = match.down.product;
  OpBuilder builder(&getContext());
  BlockBuilder make(builder, down.getLoc());
  Type element = getElementTypeOrSelf(match.up.x.getType());

  // 1. Operand and result with equal rows, outside of reshapes if possible.
  Value x = match.up.x, y = match.result;
  Value outerX = beforeReshapes(x), outerY = afterReshapes(y);
  if (haveSameRows(outerX, outerY, shapes)) {
    x = outerX;
    y = outerY;
  } else if (haveSameRows(outerX, y, shapes)) {
    x = outerX;
  }
  bool reshapes = match.reshapes && !haveSameRows(x, y, shapes);
  auto xType = cast<RankedTensorType>(x.getType());
  auto yType = cast<RankedTensorType>(y.getType());

  // 2. The block, at the place of its last node.
  builder.setInsertionPoint(y.getDefiningOp());
  SmallVector<int64_t> shape(xType.getShape());
  shape.back() = match.down.out;
  StringRef name = givenName(down);
  ffn::ActivationAttr upKind;
  if (match.activations.up)
    upKind = ffn::ActivationAttr::get(&getContext(), *match.activations.up);
  FloatAttr cutoff;
  if (match.activations.cutoff)
    cutoff = builder.getF32FloatAttr(*match.activations.cutoff);
  Value gate, gateBias;
  if (match.gate) {
    gate = make.weight(*match.gate, element);
    gateBias = make.bias(*match.gate, element);
  }
  auto block = ffn::BlockOp::create(
      builder, down.getLoc(), RankedTensorType::get(shape, element),
      ffn::ActivationAttr::get(&getContext(), match.activations.activation), x,
      gate, gateBias, make.weight(match.up, element),
      make.bias(match.up, element),
      make.weight(match.down, element, match.activations.scale),
      make.bias(match.down, element), upKind,
      builder.getStringAttr(name.empty() ? "ffn." + Twine(number)
                                         : Twine(name)),
      cutoff);

  // 3. Back to the type that the graph had.
  Value result = make.cast(block.getResult(), yType.getElementType());
  DimList known;
  if (std::optional<ArrayRef<Dim>> sizes = shapes.getShape(x))
    known.assign(sizes->begin(), sizes->end());
  if (!known.empty())
    known.back() = DimExpr(match.down.out);
  shapes.setShape(block.getResult(), known);
  if (reshapes)
    result = make.reshape(result, yType, *shapes.getKnownShape(y));
  if (std::optional<ArrayRef<Dim>> sizes = shapes.getShape(y))
    shapes.setShape(result, DimList(sizes->begin(), sizes->end()));
  y.replaceAllUsesWith(result);
}
