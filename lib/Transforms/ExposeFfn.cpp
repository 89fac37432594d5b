// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Taps of feed-forward blocks. A block is taken apart only for what is inside
// of it; the nodes it becomes are those that its own lowering computes. What
// is done with the values is the caller's.
#include "sparse-opt/Transforms/ExposeFfn.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/Pass.h"
#include "sparse-opt/Analysis/FfnMatch.h"
#include "sparse-opt/Analysis/SymbolicShapes.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_FFNEXPOSE
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

SmallVector<ffn::BlockOp> sparse_opt::findBlocks(ModuleOp module) {
  SmallVector<ffn::BlockOp> blocks;
  module.walk([&](ffn::BlockOp op) { blocks.push_back(op); });
  return blocks;
}

std::string sparse_opt::nameOfBlock(ffn::BlockOp block, size_t index) {
  if (auto name = block.getBlockName())
    return name->str();
  return "ffn." + std::to_string(index);
}

//===----------------------------------------------------------------------===//
// A block taken apart
//===----------------------------------------------------------------------===//

namespace {
/// The nodes of one block, and its values by name.
class Opener {
public:
  explicit Opener(ffn::BlockOp block)
      : block(block), builder(block), loc(block.getLoc()),
        element(getElementTypeOrSelf(block.getType())) {}

  llvm::StringMap<Value> open() {
    llvm::StringMap<Value> values;
    Value up = linear(block.getX(), block.getUp(), block.getUpBias());
    values["up"] = up;
    Value act;
    if (block.getGate()) {
      Value gate = linear(block.getX(), block.getGate(), block.getGateBias());
      values["gate"] = gate;
      if (auto kind = block.getUpActivation())
        up = activate(up, *kind);
      gate = activate(gate, block.getActivation(), block.getCutoff());
      act = node("Mul", 14, {gate, up}, up.getType());
    } else {
      act = activate(up, block.getActivation(), block.getCutoff());
    }
    values["act"] = act;
    Value y = linear(act, block.getDown(), block.getDownBias());
    block.getY().replaceAllUsesWith(y);
    block.erase();
    values["y"] = y;
    return values;
  }

private:
  Value linear(Value x, Value weight, Value bias) {
    SmallVector<int64_t> shape(cast<RankedTensorType>(x.getType()).getShape());
    shape.back() = cast<RankedTensorType>(weight.getType()).getDimSize(1);
    Type type = RankedTensorType::get(shape, element);
    Value product = node("MatMul", 13, {x, weight}, type);
    return bias ? node("Add", 14, {product, bias}, type) : product;
  }

  Value activate(Value z, ffn::Activation kind,
                 std::optional<APFloat> cutoff = {}) {
    auto gelu = [&](StringRef how) {
      return node(
          "Gelu", 20, z, z.getType(),
          builder.getNamedAttr("approximate", builder.getStringAttr(how)));
    };
    switch (kind) {
    case ffn::Activation::Identity:
      return z;
    case ffn::Activation::Relu:
      if (cutoff)
        return node(
            "ThresholdedRelu", 10, z, z.getType(),
            builder.getNamedAttr(
                "alpha", builder.getF32FloatAttr(cutoff->convertToFloat())));
      return node("Relu", 14, z, z.getType());
    case ffn::Activation::Relu2: {
      Value positive = node("Relu", 14, z, z.getType());
      return node("Mul", 14, {positive, positive}, z.getType());
    }
    case ffn::Activation::Silu:
      return swish(z, 1);
    case ffn::Activation::Gelu:
      return gelu("none");
    case ffn::Activation::GeluTanh:
      return gelu("tanh");
    case ffn::Activation::QuickGelu:
      return swish(z, 1.702f);
    }
    llvm_unreachable("an activation without nodes");
  }

  Value swish(Value z, float alpha) {
    return node("Swish", 24, z, z.getType(),
                builder.getNamedAttr("alpha", builder.getF32FloatAttr(alpha)));
  }

  Value node(StringRef name, int64_t version, ValueRange operands, Type type,
             ArrayRef<NamedAttribute> attrs = {}) {
    return NodeOp::create(builder, loc, type, name, StringAttr(), version,
                          operands, builder.getDictionaryAttr(attrs),
                          ArrayAttr(), /*bodiesCount=*/0)
        .getResult(0);
  }

  ffn::BlockOp block;
  OpBuilder builder;
  Location loc;
  Type element;
};
} // namespace

//===----------------------------------------------------------------------===//
// Residuals
//===----------------------------------------------------------------------===//

/// add(y, r), where y is of the sum's type: r. Null for anything else.
static Value addedTo(Value y, NodeOp user) {
  if (!user.is("Add"))
    return nullptr;
  Value other = user.getOperand(user.getOperand(0) == y ? 1 : 0);
  bool isResidual = other != y && other.getType() == y.getType() &&
                    user.getResult(0).getType() == y.getType() &&
                    !other.getDefiningOp<onnx::ConstantOp>();
  return isResidual ? other : nullptr;
}

/// skip_layer_norm(y, r): r. Null for anything else.
static Value skipOf(Value y, NodeOp user) {
  if (!user.is("SkipLayerNormalization", "com.microsoft") &&
      !user.is("SkipSimplifiedLayerNormalization", "com.microsoft"))
    return nullptr;
  Value other = user.getOperand(user.getOperand(0) == y ? 1 : 0);
  return other != y && other.getType() == y.getType() ? other : nullptr;
}

ResidualStream sparse_opt::followResidual(Value y) {
  ResidualStream stream;
  while (y.hasOneUse()) {
    auto user = dyn_cast<NodeOp>(*y.user_begin());
    if (!user)
      break;
    bool isCopy = user.is("Cast") || (user.is("Reshape") && keepsRows(user));
    Value added = isCopy ? nullptr : addedTo(y, user);
    Value skip = isCopy || added ? nullptr : skipOf(y, user);
    if (Value other = added ? added : skip) {
      stream.isUniform &=
          stream.added.empty() || stream.added[0].getType() == other.getType();
      stream.added.push_back(other);
    }
    if (skip)
      stream.skip = user;
    if (!isCopy && !added)
      break;
    y = user.getResult(0);
  }
  stream.sum = y;
  return stream;
}

/// What is added to `y` as one value, made before the last of it is used. Null
/// when nothing is.
static Value findResidual(Value y) {
  ResidualStream stream = followResidual(y);
  if (stream.added.empty() || !stream.isUniform)
    return nullptr;
  Operation *last = stream.skip ? stream.skip : stream.sum.getDefiningOp();
  Value sum = stream.added.front();
  OpBuilder builder(last);
  for (Value other : ArrayRef(stream.added).drop_front())
    sum = NodeOp::create(builder, last->getLoc(), other.getType(), "Add",
                         StringAttr(), 14, ValueRange{sum, other},
                         builder.getDictionaryAttr({}), ArrayAttr(), 0)
              .getResult(0);
  return sum;
}

//===----------------------------------------------------------------------===//
// Results of @main
//===----------------------------------------------------------------------===//

static Value asF32(Value value, Operation *before) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getElementType().isF32())
    return value;
  OpBuilder builder(before);
  return NodeOp::create(builder, value.getLoc(),
                        type.clone(builder.getF32Type()), "Cast", StringAttr(),
                        13, value, builder.getDictionaryAttr({}), ArrayAttr(),
                        0)
      .getResult(0);
}

/// Declares the last operands of the return, which are called `names`.
static void declareResults(func::FuncOp main, ArrayRef<std::string> names) {
  auto exit = cast<func::ReturnOp>(main.getBody().front().getTerminator());
  unsigned first = exit.getNumOperands() - names.size();
  for (unsigned i = first; i < exit.getNumOperands(); ++i)
    exit.setOperand(i, asF32(exit.getOperand(i), exit));
  SymbolicShapes shapes(main);
  Builder builder(main.getContext());
  for (auto [i, name] : llvm::enumerate(names)) {
    Value value = exit.getOperand(first + i);
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<Attribute> dims;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      Dim dim = shapes.getDim(value, d);
      dims.push_back(builder.getStringAttr(
          dim ? dim->str() : name + "_dim_" + std::to_string(d)));
    }
    (void)main.insertResult(
        first + i, type,
        builder.getDictionaryAttr(
            {builder.getNamedAttr("onnx.dims", builder.getArrayAttr(dims)),
             builder.getNamedAttr("onnx.name", builder.getStringAttr(name))}));
  }
}

ExposeCounts sparse_opt::exposeBlocks(ModuleOp module,
                                      ArrayRef<std::string> values,
                                      bool keepResults) {
  ExposeCounts counts;
  SmallVector<ffn::BlockOp> blocks = findBlocks(module);
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (blocks.empty() || !main)
    return counts;
  // Taps hang on the return at once: blocks taken apart later may replace them.
  auto exit = cast<func::ReturnOp>(main.getBody().front().getTerminator());
  if (!keepResults) {
    exit->setOperands({});
    (void)main.eraseResults(BitVector(main.getNumResults(), true));
  }
  bool isInside = llvm::any_of(values, [](StringRef value) {
    return value == "gate" || value == "up" || value == "act";
  });
  bool wantsResidual = llvm::is_contained(values, "residual");
  SmallVector<std::string> names;
  for (auto [i, block] : llvm::enumerate(blocks)) {
    std::string name = nameOfBlock(block, i);
    llvm::StringMap<Value> found = {{"x", block.getX()}, {"y", block.getY()}};
    Value residual = wantsResidual ? findResidual(block.getY()) : nullptr;
    if (isInside)
      for (auto &entry : Opener(block).open())
        found[entry.getKey()] = entry.getValue();
    if (residual)
      found["residual"] = residual;
    counts.residuals += !!residual;
    for (const std::string &value : values)
      if (Value tapped = found.lookup(value)) {
        exit.getOperandsMutable().append(tapped);
        names.push_back(name + ":" + value);
      }
  }
  declareResults(main, names);
  eraseDeadNodes(main);
  counts.blocks = blocks.size();
  counts.results = names.size();
  return counts;
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
struct FfnExpose : sparse_opt::impl::FfnExposeBase<FfnExpose> {
  using FfnExposeBase::FfnExposeBase;

  void runOnOperation() override {
    static constexpr StringLiteral known[] = {"x",   "gate",     "up",
                                              "act", "residual", "y"};
    SmallVector<std::string> wanted(values.begin(), values.end());
    if (wanted.empty())
      wanted = {"x", "gate", "up", "act", "residual"};
    for (const std::string &value : wanted)
      if (!llvm::is_contained(known, value)) {
        getOperation().emitError()
            << "ffn-expose: '" << value << "' is no value of a block; there "
            << "are x, gate, up, act, residual and y";
        return signalPassFailure();
      }
    ExposeCounts counts = exposeBlocks(getOperation(), wanted, keepResults);
    numBlocks += counts.blocks;
    numResiduals += counts.residuals;
    numResults += counts.results;
  }
};
} // namespace
